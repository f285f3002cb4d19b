"""The device's way to its server: dial, be accepted, stay, dial again.

A round tries every address of every configured name in turn; between rounds
the device waits with full jitter under a bound that doubles. Completing the
handshake is not being accepted (TLS 1.3 clients finish before the server has
judged them): only the server's answer to the session resets the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer.quic.addresses import resolve
from edgetainer.quic.endpoint import ClientTls, connect
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.requests import Response
from edgetainer.tunnel.backoff import Backoff, Chance
from edgetainer.tunnel.closing import close_code
from edgetainer.tunnel.doors import Doors
from edgetainer.tunnel.failures import explain
from edgetainer.tunnel.limits import HELLO_HEADER, OPEN_DEADLINE, SESSION_PATH
from edgetainer.tunnel.link import REQUEST_TIMEOUT, Link
from edgetainer.tunnel.messages import encode_hello, parse_hello

log = Logger()

#: A session that was replaced sooner than this, in seconds, met a rival: another
#: agent with the same identity. Then both wait longer and longer.
_RIVAL_WITHIN = 60.0

#: Where the bound of the wait begins after meeting a rival: 2**3 s.
_RIVAL_FAILURES = 3

T = TypeVar("T")
Connect = Callable[[str, int, ClientTls, float], Deferred[Http3Connection]]
Resolve = Callable[[str], Deferred[list[str]]]


class Dialer:
    """Keeps the device connected from `start` to `stop`.

    :param addresses: (name or address, port) of the server, the preferred first.
    :param tls: gives the identity for each attempt, so that a renewed one is used.
    :param doors: decide on the channels that the server opens.
    :param hello: gives what the device says of itself, for each attempt; JSON.
    :param on_connected: called with the server's hello once a session is accepted.
    :param on_disconnected: called with the reason when that session is over.
    :param on_doorbell: called with the revision of each ring.
    :param on_failure: called with the reason when a whole round has failed;
        ``certificate_refused`` means that waiting will not help but enrolling will.
    :param random: chance for the jitter.
    :param connect: as `quic.endpoint.connect`: host, port, identity, seconds.
    :param resolve: the addresses of a name.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        addresses: Sequence[tuple[str, int]],
        tls: Callable[[], ClientTls],
        doors: Doors,
        hello: Callable[[], Mapping[str, Any]],
        on_connected: Callable[[dict[str, Any]], object],
        on_disconnected: Callable[[EdgetainerError], object],
        on_doorbell: Callable[[int], object],
        random: Chance,
        on_failure: Callable[[EdgetainerError], object] = lambda error: None,
        connect: Connect | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._reactor = reactor
        self._addresses = tuple(addresses)
        self._tls = tls
        self._doors = doors
        self._hello = hello
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._on_doorbell = on_doorbell
        self._on_failure = on_failure
        self._backoff = Backoff(random)
        self._rivals = 0
        self._connect = connect or self._connect_udp
        self._resolve = resolve or self._resolve_name
        # A new object at each start: a run that finds another has been stopped.
        self._wanted: object | None = None
        self._waiting: Deferred[Any] | None = None
        self._link: Link | None = None

    @property
    def connected(self) -> bool:
        """Whether the server has accepted a session that still lives."""
        return self._link is not None

    def start(self) -> None:
        """Begin to dial; does nothing when it has begun."""
        if self._wanted is None:
            self._wanted = object()
            Deferred.fromCoroutine(self._run(self._wanted)).addErrback(_died)

    def stop(self) -> Deferred[None]:
        """End the session, if any, and dial no more; fires when the server was told.

        It may be called at any moment, from the listeners too.
        """
        self._wanted = None
        if self._link is not None:
            return self._link.shut(EdgetainerError("session_closed", "The agent is stopping."))
        if self._waiting is not None:
            self._waiting.cancel()
        return succeed(None)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        timeout: float = REQUEST_TIMEOUT,
    ) -> Deferred[Response]:
        """A request to the server over the tunnel; see `Link.request`.

        Fails with ``unavailable`` at once when there is no session.
        """
        if self._link is None:
            return fail(EdgetainerError("unavailable", "The device is not connected."))
        return self._link.request(method, path, json=json, headers=headers, timeout=timeout)

    async def _run(self, wanted: object) -> None:
        while self._wanted is wanted:
            try:
                link = await self._round(wanted)
            except EdgetainerError as error:
                if self._wanted is not wanted:
                    return
                _guard(self._on_failure, error)
            else:
                await self._live(link)
            if self._wanted is not wanted:
                return
            wait = self._backoff.next()
            log.info("dialling again in {wait:.1f} s", wait=wait)
            with suppress(CancelledError):
                await self._pause(deferLater(self._reactor, wait))

    async def _pause(self, waiting: Deferred[T]) -> T:
        """Wait, so that `stop` may cancel it."""
        self._waiting = waiting
        try:
            return await waiting
        finally:
            self._waiting = None

    async def _round(self, wanted: object) -> Link:
        """Try every address once; raise the last error if all failed."""
        error = EdgetainerError("unavailable", "The server's names are not known just now.")
        for host, port in self._addresses:
            if self._wanted is not wanted:
                raise error
            for address in await self._addresses_of(host):
                if self._wanted is not wanted:
                    raise error  # stopped while we looked it up or dialled
                try:
                    return await self._attempt(address, port)
                except EdgetainerError as failed:
                    error = failed
                log.warn("no session at {host} ({address} port {port}): {error}",
                         host=host, address=address, port=port, error=error)  # fmt: skip
                if error.code == "certificate_refused":
                    # Other addresses lead to the same list of keys.
                    raise error
        raise error

    async def _addresses_of(self, host: str) -> list[str]:
        try:
            resolving = self._resolve(host).addTimeout(OPEN_DEADLINE, self._reactor)
            return await self._pause(resolving)
        except Exception as error:
            log.warn("{host} cannot be resolved: {error}", host=host, error=error)
            return []

    async def _attempt(self, address: str, port: int) -> Link:
        """Connect and be accepted, or raise `EdgetainerError`."""
        connection: Http3Connection | None = None
        try:
            connecting = self._connect(address, port, self._tls(), OPEN_DEADLINE)
            connection = await self._pause(connecting)
            opening = connection.open_session(
                SESSION_PATH, headers=[(HELLO_HEADER, encode_hello(self._hello()))]
            )
            session = await self._pause(opening.addTimeout(OPEN_DEADLINE, self._reactor))
            answer = dict(session.headers).get(HELLO_HEADER, b"")
            return Link(
                reactor=self._reactor,
                connection=connection,
                session=session,
                hello=parse_hello(answer),
                doors=self._doors,
                on_doorbell=lambda revision: _guard(self._on_doorbell, revision),
            )
        except Exception as reason:
            error = explain(reason)
            if connection is not None:
                connection.close(close_code(error), error.code)
            raise error from reason

    async def _live(self, link: Link) -> None:
        self._link = link
        self._backoff.reset()
        log.info("connected to {peer[0]} port {peer[1]}", peer=link.peer)
        _guard(self._on_connected, link.hello)
        error = await link.notify_close()
        self._link = None
        log.info("disconnected: {why}", why=error.detail)
        self._mind_rivals(link, error)
        _guard(self._on_disconnected, error)

    def _mind_rivals(self, link: Link, error: EdgetainerError) -> None:
        if error.code != "session_replaced":
            self._rivals = 0
            return
        lived = self._reactor.seconds() - link.opened_at
        self._rivals = self._rivals + 1 if lived < _RIVAL_WITHIN else 1
        self._backoff.reset(_RIVAL_FAILURES + self._rivals - 1)

    def _connect_udp(
        self, host: str, port: int, tls: ClientTls, timeout: float
    ) -> Deferred[Http3Connection]:
        return connect(self._reactor, host=host, port=port, tls=tls, timeout=timeout)

    def _resolve_name(self, host: str) -> Deferred[list[str]]:
        return resolve(self._reactor, host)


def _died(failure: Any) -> None:
    log.failure("dialling ended by a mistake of ours", failure)


def _guard(callback: Callable[[Any], object], value: object) -> None:
    """Our listener's trouble is its own; the tunnel goes on."""
    try:
        callback(value)
    except Exception:
        log.failure("a listener of the dialer failed")
