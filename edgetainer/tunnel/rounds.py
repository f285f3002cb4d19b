"""One try of all the server's addresses, from a name to an accepted session.

Completing the handshake is not being accepted (TLS 1.3 clients finish before the
server has judged them): a round ends well when the server has answered to the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer.quic.addresses import resolve
from edgetainer.quic.endpoint import ClientTls, connect
from edgetainer.quic.http3 import Http3Connection
from edgetainer.tunnel.closing import close_code
from edgetainer.tunnel.doors import Doors
from edgetainer.tunnel.failures import explain
from edgetainer.tunnel.keepalive import Bounds, Keepalive
from edgetainer.tunnel.limits import HELLO_HEADER, OPEN_DEADLINE, SESSION_PATH
from edgetainer.tunnel.link import Link
from edgetainer.tunnel.messages import encode_hello, parse_hello
from edgetainer.tunnel.profiles import LinkProfile

log = Logger()

#: Seconds between two attempts, at least, when the network's changes hurry them.
_HURRIED_EVERY = 1.0

#: Seconds that a silent connection is given to answer once the server has answered
#: another one: QUIC's probes lie two seconds apart at most.
_ANSWER_WITHIN = 3.0

T = TypeVar("T")
Still = Callable[[], bool]
"""Whether what is under way is still wanted."""
Connect = Callable[[str, int, ClientTls, float], Deferred[Http3Connection]]
Resolve = Callable[[str], Deferred[list[str]]]
LocalAddress = Callable[[str, int], str | None]


class Rounds:
    """Runs one round at a time; the parameters are those of `Dialer`.

    :ivar moved: whether the last round was interrupted by `network_changed`; until
        whoever waits between rounds has heeded it.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        addresses: Sequence[tuple[str, int]],
        tls: Callable[[], ClientTls],
        doors: Doors,
        hello: Callable[[], Mapping[str, Any]],
        on_doorbell: Callable[[int], object],
        profile: LinkProfile,
        recall: Callable[[], Bounds | None],
        remember: Callable[[Bounds], object],
        on_connection: Callable[[Http3Connection], object],
        connect: Connect | None,
        resolve: Resolve | None,
        local_address: LocalAddress,
    ) -> None:
        self.moved = False
        self._reactor = reactor
        self._addresses = tuple(addresses)
        self._tls = tls
        self._doors = doors
        self._hello = hello
        self._on_doorbell = on_doorbell
        self._profile = profile
        self._recall = recall
        self._remember = remember
        self._on_connection = on_connection
        self._connect = connect or self._connect_udp
        self._resolve = resolve or self._resolve_name
        self._local_address = local_address
        self._dialled_at = 0.0
        self._dialled: tuple[str, int] | None = None
        self._standing: str | None = None
        self._waiting: Deferred[Any] | None = None

    @property
    def hurried(self) -> float:
        """Seconds until the next attempt may be made when the network has changed."""
        wait: float = self._dialled_at + _HURRIED_EVERY - self._reactor.seconds()
        return max(0.0, wait)

    def cancel(self) -> None:
        """End the round that is under way, if one is."""
        if self._waiting is not None:
            self._waiting.cancel()

    def network_changed(self) -> bool:
        """The device's addresses or routes may be other ones than they were.

        :return: whether that is so for the way to the server. Then the round that is
            under way has ended: the server has bound it to the old address.
        """
        if self._dialled is None:
            return False
        before, self._standing = self._standing, self._local_address(*self._dialled)
        if self._standing in (None, before):
            return False
        log.info("the way to the server now begins at {here}", here=self._standing)
        if self._waiting is not None:
            self.moved = True
            self.cancel()
        return True

    async def run(self, still: Still, beside: Link | None) -> Link:
        """Try every address once, and return the first session that is accepted.

        :param still: whether it is wanted; asked after each wait.
        :param beside: a link whose server is silent.
        :raises EdgetainerError: the last address's, if all failed.
        """
        self.moved = False
        error = EdgetainerError("unavailable", "The server's names are not known just now.")

        def pointless() -> bool:
            return self.moved or not still()

        for host, port in self._addresses:
            for address in await self._addresses_of(host):
                if pointless():
                    raise error
                try:
                    return await self._attempt(address, port, still, beside)
                except EdgetainerError as failed:
                    error = failed
                if pointless():
                    raise error
                log.warn("no session at {host} ({address} port {port}): {error}",
                         host=host, address=address, port=port, error=error)  # fmt: skip
                if error.code == "certificate_refused":
                    # Other addresses lead to the same list of keys.
                    raise error
            if pointless():
                raise error
        raise error

    async def _addresses_of(self, host: str) -> list[str]:
        try:
            resolving = self._resolve(host).addTimeout(OPEN_DEADLINE, self._reactor)
            return await self._wait_for(resolving)
        except CancelledError:
            return []
        except Exception as error:
            log.warn("{host} cannot be resolved: {error}", host=host, error=error)
            return []

    async def _attempt(self, address: str, port: int, still: Still, beside: Link | None) -> Link:
        """Connect and be accepted, or raise `EdgetainerError`."""
        keepalive = None
        if self._profile.learns:
            keepalive = Keepalive(self._recall(), now=self._reactor.seconds())
        connection: Http3Connection | None = None
        self._dialled_at, self._dialled = self._reactor.seconds(), (address, port)
        self._standing = self._local_address(address, port)
        try:
            connecting = self._connect(address, port, self._tls(), OPEN_DEADLINE)
            connection = await self._wait_for(connecting)
            guard(self._on_connection, connection)
            if beside is not None:
                # A new session would end the old one; may it speak first.
                beside.ask()
                await self._wait_for(deferLater(self._reactor, _ANSWER_WITHIN))
            if not still():
                raise EdgetainerError("session_closed", "It is not needed any more.")
            hello = {**self._hello(), **_profile_fields(self._profile, keepalive)}
            opening = connection.open_session(
                SESSION_PATH, headers=[(HELLO_HEADER, encode_hello(hello))]
            )
            session = await self._wait_for(opening.addTimeout(OPEN_DEADLINE, self._reactor))
            answer = dict(session.headers).get(HELLO_HEADER, b"")
            return Link(
                reactor=self._reactor,
                connection=connection,
                session=session,
                hello=parse_hello(answer),
                doors=self._doors,
                on_doorbell=lambda revision: guard(self._on_doorbell, revision),
                keepalive=keepalive,
                on_learned=lambda bounds: guard(self._remember, bounds),
            )
        except Exception as reason:
            error = explain(reason)
            if connection is not None:
                connection.close(close_code(error), error.code)
            raise error from reason

    async def _wait_for(self, waiting: Deferred[T]) -> T:
        """Wait, so that `cancel` may end it."""
        self._waiting = waiting
        try:
            return await waiting
        finally:
            self._waiting = None

    def _connect_udp(
        self, host: str, port: int, tls: ClientTls, timeout: float
    ) -> Deferred[Http3Connection]:
        return connect(self._reactor, host=host, port=port, tls=tls, timeout=timeout)

    def _resolve_name(self, host: str) -> Deferred[list[str]]:
        return resolve(self._reactor, host)


def _profile_fields(profile: LinkProfile, keepalive: Keepalive | None) -> dict[str, Any]:
    """What the hello says of a link that is not a standard one."""
    if keepalive is None:
        return {}
    return {"profile": profile.name, "keepalive_s": round(keepalive.seconds, 1)}


def guard(callback: Callable[[Any], object], value: object) -> None:
    """Our listener's trouble is its own; the tunnel goes on."""
    try:
        callback(value)
    except Exception:
        log.failure("a listener of the dialer failed")
