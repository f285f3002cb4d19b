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
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer.quic.addresses import local_address
from edgetainer.quic.endpoint import ClientTls
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.requests import Response
from edgetainer.tunnel.backoff import Backoff, Chance
from edgetainer.tunnel.doors import Doors
from edgetainer.tunnel.keepalive import Bounds
from edgetainer.tunnel.limits import KEEPALIVE
from edgetainer.tunnel.link import REQUEST_TIMEOUT, Link
from edgetainer.tunnel.profiles import STANDARD, LinkProfile
from edgetainer.tunnel.rounds import Connect, LocalAddress, Resolve, Rounds, Still, guard

log = Logger()

#: A session that was replaced sooner than this, in seconds, met a rival: another
#: agent with the same identity. Then both wait longer and longer.
_RIVAL_WITHIN = 60.0

#: Where the bound of the wait begins after meeting a rival: 2**3 s.
_RIVAL_FAILURES = 3


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
        self._rounds = Rounds(
            reactor=reactor,
            addresses=addresses,
            tls=tls,
            doors=doors,
            hello=hello,
            on_doorbell=on_doorbell,
            profile=profile,
            recall=recall,
            remember=remember,
            on_connection=on_connection,
            connect=connect,
            resolve=resolve,
            local_address=local_address,
        )
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._on_failure = on_failure
        self._recall = recall
        self._backoff = Backoff(random, most=profile.redial_most_s)
        self._rivals = 0
        self._alarm: IDelayedCall | None = None
        self._waiting: Deferred[None] | None = None
        # A new object at each start: a run that finds another has been stopped.
        self._wanted: object | None = None
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
        self._interrupt()
        if self._link is not None:
            return self._link.shut(EdgetainerError("session_closed", "The agent is stopping."))
        return succeed(None)

    def _interrupt(self) -> None:
        """End the round or the wait that is under way; whoever asked for it looks anew."""
        self._rounds.cancel()
        if self._waiting is not None:
            self._waiting.cancel()

    def network_changed(self) -> bool:
        """The device's addresses or routes may be other ones than they were.

        When that is so for the way to the server, a session moves to the new address
        at once, a wait for the next attempt ends early, and an attempt that is under way
        begins anew: the server has bound it to the old address.

        :return: whether it is so.
        """
        if not self._rounds.network_changed():
            return False
        if self._link is not None:
            self._link.migrate()
            # How long the last network forgave does not hold on this one.
            self._link.network_changed(self._recall())
        if self._alarm is not None:
            wait = self._rounds.hurried
            if self._reactor.seconds() + wait < self._alarm.getTime():
                self._alarm.reset(wait)
        return True

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
                return await self._rounds.run(still, beside)
            except EdgetainerError as error:
                if not still():
                    break
                if not self._rounds.moved:
                    guard(self._on_failure, error)
            await self._wait(still)
        return None

    async def _wait(self, still: Still) -> None:
        if not still():
            return
        wait = self._rounds.hurried if self._rounds.moved else self._backoff.next()
        self._rounds.moved = False
        log.info("dialling again in {wait:.1f} s", wait=wait)
        waiting = self._waiting = Deferred()
        alarm = self._alarm = self._reactor.callLater(wait, waiting.callback, None)
        with suppress(CancelledError):
            await waiting
        self._waiting = self._alarm = None
        if alarm.active():
            alarm.cancel()

    async def _live(self, link: Link) -> Link | None:
        """See a link to its end; returns the one that took its place, if one did."""
        self._link = link
        self._backoff.reset()
        numbers = link.statistics()
        log.info("connected to {peer[0]} port {peer[1]} by {carrier}, round trip {rtt:.0f} ms",
                 peer=link.peer, carrier=numbers.carrier,
                 rtt=1000 * (numbers.rtt or 0.0))  # fmt: skip
        guard(self._on_connected, link.hello)
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
        guard(self._on_disconnected, error)
        return newer

    async def _search_beside(self, link: Link) -> Link | None:
        """Dial anew while this link's server is silent; None when it is not, or it ends."""
        log.warn("the server is silent; looking for it by another connection")
        wanted = self._wanted

        def still() -> bool:
            return self._wanted is wanted and link.silent and not link.closed

        # Whatever ends the silence ends the wait or the attempt that is under way.
        over = _first(link.notify_heard(), link.notify_close())
        over.addCallback(lambda _: self._interrupt())
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
