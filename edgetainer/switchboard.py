"""The live sessions: who is connected, and how to reach what runs there.

`switchboard.endpoint(device_id, target)` is the central idea of the server: an
ordinary Twisted endpoint to anything on any device. The gateway, terminals and
commands connect it and know nothing of QUIC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import Target
from edgetainer.tunnel.profiles import STANDARD_WATCH, Watch
from edgetainer.tunnel.session import Session
from edgetainer.tunnel.silence import SilenceTable

log = Logger()

#: Shortest time between two looks at the silence table, in seconds: thousands
#: of sessions then share a few looks a second.
_LOOK_EVERY = 0.25

OnChange = Callable[[str, bool], None]


class Switchboard:
    """All live sessions of this server, at most one a device.

    A device that is silent for longer than its profile lets it be is *offline*: it
    takes no new channels. Its session sleeps, with the channels that are open, until
    it is heard again or QUIC gives the connection up.

    :param reactor: its clock tells silence.
    :param silence_limit_s: seconds of silence after which a device on a standard
        link is offline.

    :ivar on_change: called with (device id, online) whenever a device comes or
        goes; not when a newer session replaces an older one. A session that
        just came takes channels as soon as the current turn of the reactor is over.
    """

    def __init__(
        self, *, reactor: IReactorTime, silence_limit_s: float = STANDARD_WATCH.limit
    ) -> None:
        self._reactor = reactor
        self._sessions: dict[str, Session] = {}
        self._asleep: dict[str, Session] = {}
        self._came: Counter[str] = Counter()
        self._standard = Watch(
            ping_after=min(STANDARD_WATCH.ping_after, silence_limit_s * 0.8), limit=silence_limit_s
        )
        self._silence: SilenceTable[Session] = SilenceTable()
        self._timer: IDelayedCall | None = None
        self.on_change: list[OnChange] = []

    def add(self, session: Session) -> None:
        """Take on a session; an older one of the same device is closed."""
        if session.closed is not None:
            return
        self._came[session.device_id] += 1
        sleeping = self._asleep.pop(session.device_id, None)
        older = self._sessions.get(session.device_id)
        self._sessions[session.device_id] = session
        self._watch(session)
        session.on_keepalive = self._rewatch
        session.notify_close().addCallback(self._closed, session)
        if sleeping is not None:
            sleeping.close(EdgetainerError("session_replaced"))
        if older is None:
            log.info("device {device} is online from {peer[0]} port {peer[1]}",
                     device=session.device_id, peer=session.peer)  # fmt: skip
            self._changed(session.device_id, online=True)
        else:
            log.info("device {device} came anew from {peer[0]} port {peer[1]}",
                     device=session.device_id, peer=session.peer)  # fmt: skip
            older.close(EdgetainerError("session_replaced"))

    def session(self, device_id: str) -> Session:
        """The device's session.

        :raises EdgetainerError: ``device_offline``.
        """
        session = self._sessions.get(device_id)
        if session is None:
            raise EdgetainerError(
                "device_offline", "The device is not connected. Try again when it is online."
            )
        return session

    def sessions_of(self, device_id: str) -> int:
        """How many sessions the device has had since the server started."""
        return self._came[device_id]

    def sessions(self) -> Mapping[str, Session]:
        """The sessions of all devices that are online, by device id; a view, not a copy."""
        return MappingProxyType(self._sessions)

    def endpoint(self, device_id: str, target: Target) -> IStreamClientEndpoint:
        """Where to connect to reach `target` on the device.

        The session is looked up when it is connected, so an endpoint may be
        kept; without a session the connect fails with ``device_offline``.
        """
        return _DeviceEndpoint(self, device_id, target)

    def ring(self, device_id: str, revision: int) -> None:
        """Ring the device's doorbell, if it is there; else it pulls when it comes."""
        session = self._sessions.get(device_id) or self._asleep.get(device_id)
        if session is not None:
            session.ring(revision)

    def disconnect(self, device_id: str, error: EdgetainerError) -> None:
        """Close the device's session, if there is one, telling the device why."""
        for session in (self._sessions.get(device_id), self._asleep.get(device_id)):
            if session is not None:
                session.close(error)

    def online(self) -> frozenset[str]:
        """The ids of the devices that are connected and not silent."""
        return frozenset(self._sessions)

    def stop(self) -> None:
        """Close every session: the server goes down."""
        for session in [*self._sessions.values(), *self._asleep.values()]:
            session.close(EdgetainerError("unavailable", "The server is stopping."))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _closed(self, error: EdgetainerError, session: Session) -> None:
        self._silence.forget(session)
        if self._asleep.get(session.device_id) is session:
            del self._asleep[session.device_id]
        if self._sessions.get(session.device_id) is session:
            del self._sessions[session.device_id]
            log.info("device {device} is offline: {why}", device=session.device_id,
                     why=error.detail)  # fmt: skip
            self._changed(session.device_id, online=False)

    def _changed(self, device_id: str, *, online: bool) -> None:
        for callback in tuple(self.on_change):
            try:
                callback(device_id, online)
            except Exception:
                # One listener's trouble must not hide the change from the others.
                log.failure("a listener failed on {device}", device=device_id)

    def _watch(self, session: Session) -> None:
        self._silence.watch(session, self._reactor.seconds(), self._watch_of(session))
        self._arm()

    def _rewatch(self, session: Session) -> None:
        # Only what was just heard can have said so.
        self._silence.change(session, self._reactor.seconds(), self._watch_of(session))
        self._arm()

    def _watch_of(self, session: Session) -> Watch:
        return self._standard if session.keepalive_s is None else session.watch

    def _fall_asleep(self, session: Session) -> None:
        silence = self._reactor.seconds() - session.last_received
        del self._sessions[session.device_id]
        self._asleep[session.device_id] = session
        log.info("device {device} is offline: nothing was heard for {silence:.0f} s",
                 device=session.device_id, silence=silence)  # fmt: skip
        session.connection.notify_heard().addCallback(lambda _: self._wake(session))
        self._changed(session.device_id, online=False)

    def _wake(self, session: Session) -> None:
        if self._asleep.get(session.device_id) is not session:
            return
        del self._asleep[session.device_id]
        self._sessions[session.device_id] = session
        log.info("device {device} is heard again", device=session.device_id)
        self._watch(session)
        self._changed(session.device_id, online=True)

    def _arm(self) -> None:
        due = self._silence.due()
        if self._timer is not None and due is not None and due < self._timer.getTime():
            self._timer.cancel()
            self._timer = None
        if self._timer is None and due is not None:
            delay = max(_LOOK_EVERY, due - self._reactor.seconds())
            self._timer = self._reactor.callLater(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        for silent in self._silence.turn(now, lambda session: session.last_received):
            if silent.give_up:
                self._fall_asleep(silent.key)
            else:
                silent.key.ping()
        self._arm()


@implementer(IStreamClientEndpoint)
class _DeviceEndpoint:
    def __init__(self, switchboard: Switchboard, device_id: str, target: Target) -> None:
        self._switchboard = switchboard
        self._device_id = device_id
        self._target = target

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        try:
            session = self._switchboard.session(self._device_id)
        except EdgetainerError as error:
            return fail(error)
        return session.endpoint(self._target).connect(protocolFactory)
