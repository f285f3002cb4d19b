"""The device's way to its server: dial, be accepted, stay, dial again.

A round tries every address of every configured name in turn; between rounds
the device waits with full jitter under a bound that doubles. Completing the
handshake is not being accepted (TLS 1.3 clients finish before the server has
judged them): only the server's answer to the session resets the bound.

A server that falls silent is not given up: QUIC goes on probing, and after an
outage the connection is what it was. Beside it the device dials anew, for the
server may have moved or lost its memory; what answers first is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer.quic.addresses import local_address, resolve
from edgetainer.quic.endpoint import ClientTls, connect
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.requests import Response
from edgetainer.tunnel.backoff import Backoff, Chance
from edgetainer.tunnel.closing import close_code
from edgetainer.tunnel.doors import Doors
from edgetainer.tunnel.failures import explain
from edgetainer.tunnel.keepalive import Bounds, Keepalive
from edgetainer.tunnel.limits import HELLO_HEADER, KEEPALIVE, OPEN_DEADLINE, SESSION_PATH
from edgetainer.tunnel.link import REQUEST_TIMEOUT, Link
from edgetainer.tunnel.messages import encode_hello, parse_hello
from edgetainer.tunnel.profiles import STANDARD, LinkProfile

log = Logger()

#: A session that was replaced sooner than this, in seconds, met a rival: another
#: agent with the same identity. Then both wait longer and longer.
_RIVAL_WITHIN = 60.0

#: Seconds between two attempts, at least, when the network's changes hurry them.
_HURRIED_EVERY = 1.0

#: Where the bound of the wait begins after meeting a rival: 2**3 s.
_RIVAL_FAILURES = 3

#: Seconds that a silent connection is given to answer once the server has answered
#: another one: QUIC's probes lie two seconds apart at most.
_ANSWER_WITHIN = 3.0

T = TypeVar("T")
Still = Callable[[], bool]
"""Whether what is under way is still wanted."""
Connect = Callable[[str, int, ClientTls, float], Deferred[Http3Connection]]
Resolve = Callable[[str], Deferred[list[str]]]
LocalAddress = Callable[[str, int], str | None]


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
    :param profile: what the device's link is like.
    :param recall: what is remembered of the present network's keepalive.
    :param remember: called with what is known of it when that has changed.
    :param on_connection: called with each connection that the server's TLS accepted.
    :param connect: as `quic.endpoint.connect`: host, port, identity, seconds.
    :param resolve: the addresses of a name.
    :param local_address: as `quic.addresses.local_address`.
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
        profile: LinkProfile = STANDARD,
        recall: Callable[[], Bounds | None] = lambda: None,
        remember: Callable[[Bounds], object] = lambda bounds: None,
        on_failure: Callable[[EdgetainerError], object] = lambda error: None,
        on_connection: Callable[[Http3Connection], object] = lambda connection: None,
        connect: Connect | None = None,
        resolve: Resolve | None = None,
        local_address: LocalAddress = local_address,
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
        self._backoff = Backoff(random, most=profile.redial_most_s)
        self._profile = profile
        self._recall = recall
        self._remember = remember
        self._on_connection = on_connection
        self._rivals = 0
        self._connect = connect or self._connect_udp
        self._resolve = resolve or self._resolve_name
        self._local_address = local_address
        self._dialled_at = 0.0
        self._moved = False
        self._dialled: tuple[str, int] | None = None
        self._standing: str | None = None
        self._alarm: IDelayedCall | None = None
        # A new object at each start: a run that finds another has been stopped.
        self._wanted: object | None = None
        self._waiting: Deferred[Any] | None = None
        self._link: Link | None = None

    @property
    def connected(self) -> bool:
        """Whether the server has accepted a session that still lives."""
        return self._link is not None

    @property
    def keepalive_s(self) -> float:
        """Seconds of silence that the session is kept over; the standard ones without one."""
        return KEEPALIVE if self._link is None else self._link.keepalive_s

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
        self._stop_waiting()
        if self._link is not None:
            return self._link.shut(EdgetainerError("session_closed", "The agent is stopping."))
        return succeed(None)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def network_changed(self) -> bool:
        """The device's addresses or routes may be other ones than they were.

        When that is so for the way to the server, a session moves to the new address
        at once, a wait for the next attempt ends early, and an attempt that is under way
        begins anew: the server has bound it to the old address.

        :return: whether it is so.
        """
        if self._dialled is None:
            return False
        before, self._standing = self._standing, self._local_address(*self._dialled)
        if self._standing in (None, before):
            return False
        log.info("the way to the server now begins at {here}", here=self._standing)
        if self._link is not None:
            self._link.migrate()
            # How long the last network forgave does not hold on this one.
            self._link.network_changed(self._recall())
        if self._alarm is not None:
            now = self._reactor.seconds()
            soonest = now + self._hurried()
            if soonest < self._alarm.getTime():
                self._alarm.reset(soonest - now)
        elif self._waiting is not None:
            self._moved = True
            self._stop_waiting()
        return True

    def _hurried(self) -> float:
        """Seconds until the next attempt may be made when the network has changed."""
        wait: float = self._dialled_at + _HURRIED_EVERY - self._reactor.seconds()
        return max(0.0, wait)

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
        def still() -> bool:
            return self._wanted is wanted

        while still():
            link = await self._dial(still)
            while link is not None:
                link = await self._live(link)
            await self._wait(still)

    async def _dial(self, still: Still, beside: Link | None = None) -> Link | None:
        """Rounds and waits, until there is a link or it is not wanted any more.

        :param beside: a link whose server is silent.
        """
        while still():
            try:
                return await self._round(still, beside)
            except EdgetainerError as error:
                if not still():
                    break
                if not self._moved:
                    _guard(self._on_failure, error)
            await self._wait(still)
        return None

    async def _wait(self, still: Still) -> None:
        if not still():
            return
        wait = self._hurried() if self._moved else self._backoff.next()
        self._moved = False
        log.info("dialling again in {wait:.1f} s", wait=wait)
        waiting: Deferred[None] = Deferred()
        alarm = self._alarm = self._reactor.callLater(wait, waiting.callback, None)
        with suppress(CancelledError):
            await self._pause(waiting)
        self._alarm = None
        if alarm.active():
            alarm.cancel()

    async def _pause(self, waiting: Deferred[T]) -> T:
        """Wait, so that `stop` may cancel it."""
        self._waiting = waiting
        try:
            return await waiting
        finally:
            self._waiting = None

    async def _round(self, still: Still, beside: Link | None) -> Link:
        """Try every address once; raise the last error if all failed."""
        error = EdgetainerError("unavailable", "The server's names are not known just now.")

        def pointless() -> bool:
            return self._moved or not still()

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
            return await self._pause(resolving)
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
            connection = await self._pause(connecting)
            _guard(self._on_connection, connection)
            if beside is not None:
                # A new session would end the old one; may it speak first.
                beside.ask()
                await self._pause(deferLater(self._reactor, _ANSWER_WITHIN))
            if not still():
                raise EdgetainerError("session_closed", "It is not needed any more.")
            hello = {**self._hello(), **_profile_fields(self._profile, keepalive)}
            opening = connection.open_session(
                SESSION_PATH, headers=[(HELLO_HEADER, encode_hello(hello))]
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
                keepalive=keepalive,
                on_learned=lambda bounds: _guard(self._remember, bounds),
            )
        except Exception as reason:
            error = explain(reason)
            if connection is not None:
                connection.close(close_code(error), error.code)
            raise error from reason

    async def _live(self, link: Link) -> Link | None:
        """See a link to its end; returns the one that took its place, if one did."""
        self._link = link
        self._backoff.reset()
        numbers = link.statistics()
        log.info("connected to {peer[0]} port {peer[1]} by {carrier}, round trip {rtt:.0f} ms",
                 peer=link.peer, carrier=numbers.carrier,
                 rtt=1000 * (numbers.rtt or 0.0))  # fmt: skip
        _guard(self._on_connected, link.hello)
        newer: Link | None = None
        while newer is None and not link.closed:
            await _first(link.notify_silence(), link.notify_close())
            if not link.closed:
                newer = await self._search_beside(link)
        if newer is not None:
            link.close(EdgetainerError("session_closed", "Another connection took its place."))
        error = await link.notify_close()
        self._link = None
        numbers = link.statistics()
        log.info("disconnected after {lived:.0f} s by {carrier}, round trip {rtt:.0f} ms,"
                 " {loss:.1%} of packets lost: {why}", why=error.detail,
                 lived=self._reactor.seconds() - link.opened_at, carrier=numbers.carrier,
                 rtt=1000 * (numbers.rtt or 0.0), loss=numbers.loss)  # fmt: skip
        # However long it was looked for: whoever says goodbye can be dialled at once.
        self._backoff.reset()
        self._mind_rivals(link, error)
        _guard(self._on_disconnected, error)
        return newer

    async def _search_beside(self, link: Link) -> Link | None:
        """Dial anew while this link's server is silent; None when it is not, or it ends."""
        log.warn("the server is silent; looking for it by another connection")
        wanted = self._wanted

        def still() -> bool:
            return self._wanted is wanted and link.silent and not link.closed

        # Whatever ends the silence ends the wait or the attempt that is under way.
        over = _first(link.notify_heard(), link.notify_close())
        over.addCallback(lambda _: self._stop_waiting())
        await self._wait(still)
        newer = await self._dial(still, link)
        if newer is None and not link.silent and not link.closed:
            log.info("the server is heard again")
        return newer

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


def _profile_fields(profile: LinkProfile, keepalive: Keepalive | None) -> dict[str, Any]:
    """What the hello says of a link that is not a standard one."""
    if keepalive is None:
        return {}
    return {"profile": profile.name, "keepalive_s": round(keepalive.seconds, 1)}


def _first(one: Deferred[Any], other: Deferred[Any]) -> Deferred[None]:
    """Fires when either does, however it ends."""
    either: Deferred[None] = Deferred()

    def fired(_: object) -> None:
        if not either.called:
            either.callback(None)

    one.addCallbacks(fired, fired)
    other.addCallbacks(fired, fired)
    return either


def _died(failure: Any) -> None:
    log.failure("dialling ended by a mistake of ours", failure)


def _guard(callback: Callable[[Any], object], value: object) -> None:
    """Our listener's trouble is its own; the tunnel goes on."""
    try:
        callback(value)
    except Exception:
        log.failure("a listener of the dialer failed")
