"""One device's authenticated connection, as the server sees it.

A session opens channels, rings the doorbell, and ends once, with the reason.
It lives from the device's CONNECT to the end of the QUIC connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.quic.errors import ConnectionClosed, SessionClosed, StreamLimit
from edgetainer.quic.schedule import Priority
from edgetainer.tunnel.channel import HandoverProtocol
from edgetainer.tunnel.closing import close_code, error_from_close
from edgetainer.tunnel.control import ControlChannel
from edgetainer.tunnel.endpoints import ChannelEndpoint
from edgetainer.tunnel.limits import MAX_CHANNELS
from edgetainer.tunnel.messages import ControlTarget, Target
from edgetainer.tunnel.profiles import (
    METERED,
    STANDARD,
    LinkProfile,
    Watch,
    asked_keepalive,
    bounded,
    watch_for,
)
from edgetainer.tunnel.wire import printable

if TYPE_CHECKING:
    from edgetainer.quic.http3 import Http3Connection
    from edgetainer.quic.statistics import Statistics
    from edgetainer.quic.webtransport import WebTransportSession

log = Logger()


class Session:
    """The live session of one device.

    :param reactor: clock of deadlines.
    :param device_id: from the certificate, never from what the device says.
    :param connection: the QUIC connection, which this session owns from now on.
    :param hello: what the device said of itself; JSON, otherwise unchecked.

    :ivar opened_at: seconds of the reactor's clock.
    :ivar closed: why it ended, or None while it lives.
    :ivar keepalive_s: seconds that a device on a metered link wants to be silent; None
        for one that speaks by itself.
    :ivar on_keepalive: called with this session after the device wanted otherwise.
    """

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        device_id: str,
        connection: Http3Connection,
        hello: Mapping[str, Any],
    ) -> None:
        self.reactor = reactor
        self.device_id = device_id
        self.connection = connection
        self.hello = dict(hello)
        self.opened_at = reactor.seconds()
        self.closed: EdgetainerError | None = None
        self.keepalive_s = asked_keepalive(hello)
        self.on_keepalive: Callable[[Session], None] = lambda session: None
        self._webtransport: WebTransportSession | None = None
        self._channels = 0
        self._control: ControlChannel | None = None
        self._revision: int | None = None
        self._close_waiters: list[Deferred[EdgetainerError]] = []
        connection.notify_close().addBoth(self._ended)

    @property
    def channels(self) -> int:
        """How many channels are open."""
        return self._channels

    @property
    def peer(self) -> tuple[str, int]:
        """(host, port) that the device's datagrams come from now; it may move."""
        return self.connection.peer

    @property
    def profile(self) -> LinkProfile:
        """What kind of link the device is on."""
        return STANDARD if self.keepalive_s is None else METERED

    @property
    def watch(self) -> Watch:
        """How long it may be silent."""
        return watch_for(self.keepalive_s)

    @property
    def last_received(self) -> float:
        """Seconds of the reactor's clock when the device was last heard."""
        return self.connection.last_received

    def statistics(self) -> Statistics:
        """How its connection fares, as this end sees it."""
        return self.connection.statistics()

    def ping(self) -> None:
        """Make the device say something, if it can."""
        # Only the sound of the answer matters: it moves `last_received`.
        self.connection.ping().addErrback(lambda _: None)

    def endpoint(self, target: Target) -> IStreamClientEndpoint:
        """Where to connect to reach `target` on the device."""
        return ChannelEndpoint(self, target)

    def ring(self, revision: int) -> None:
        """Tell the device that its assignments are at `revision` now.

        May be lost: the device pulls upon every connection anyway.
        """
        if self._control is not None:
            self._control.ring(revision)
        else:
            self._revision = max(revision, self._revision or 0)

    def close(self, error: EdgetainerError) -> None:
        """End the session and its connection, telling the device why."""
        if self.closed is None:
            # First, since closing the connection tells us of it at once.
            self.closed = error
            self.connection.close(close_code(error), error.code)
            self._end(error)

    def discard(self, error: EdgetainerError) -> None:
        """End a session that was never admitted; its connection stays for the refusal."""
        if self.closed is None:
            self.closed = error
            self._end(error)

    def notify_close(self) -> Deferred[EdgetainerError]:
        """Fires with the reason once the session has ended; any number may wait."""
        waiter: Deferred[EdgetainerError] = Deferred()
        if self.closed is not None:
            waiter.callback(self.closed)
        else:
            self._close_waiters.append(waiter)
        return waiter

    def attach(self, webtransport: WebTransportSession) -> None:
        """The device's CONNECT was answered: streams can be opened from now on."""
        self._webtransport = webtransport
        webtransport.accept_streams = None  # the device opens none: PROTOCOL.md, "Channels"
        webtransport.notify_close().addBoth(self._ended)
        opening = self.endpoint(ControlTarget()).connect(
            Factory.forProtocol(lambda: ControlChannel(self._wanted_keepalive))
        )
        opening.addCallbacks(self._control_opened, self._control_failed)

    def open(self, protocol: HandoverProtocol, priority: Priority) -> None:
        """Connect `protocol` to a new stream to the device (for `ChannelEndpoint`).

        :raises EdgetainerError: ``channel_limit``, or why the session ended.
        """
        if self.closed is not None:
            raise self.closed
        if self._webtransport is None:
            raise EdgetainerError("device_offline", "The device is still connecting.")
        if self._channels >= MAX_CHANNELS:
            raise EdgetainerError(
                "channel_limit", f"{MAX_CHANNELS} channels are open to the device already."
            )
        protocol.on_ended = self._channel_ended
        self._channels += 1
        try:
            self._webtransport.open_stream(protocol, priority=priority)
        except ConnectionLost as error:
            self._channels -= 1
            raise EdgetainerError("session_closed") from error
        except StreamLimit as error:
            self._channels -= 1
            raise EdgetainerError(
                "channel_limit", "The device allows no more channels just now."
            ) from error

    def _channel_ended(self) -> None:
        self._channels -= 1

    def _control_opened(self, protocol: Any) -> None:
        self._control = protocol
        protocol.notify_end(self._control_ended)
        if self._revision is not None:
            protocol.ring(self._revision)

    def _wanted_keepalive(self, seconds: float) -> None:
        if self.keepalive_s is not None:
            self.keepalive_s = bounded(seconds)
            self.on_keepalive(self)

    def _control_failed(self, failure: Failure) -> None:
        error = EdgetainerError("protocol_violation", "The device did not accept control.")
        log.debug("control of {device} failed: {why}", device=self.device_id, why=failure.value)
        self._without_control(error)

    def _control_ended(self) -> None:
        # A device without ears would miss every doorbell; it had better come anew.
        self._without_control(
            EdgetainerError("session_closed", "The device ended its control channel.")
        )

    def _without_control(self, error: EdgetainerError) -> None:
        # When the connection ends its streams are told first: let it say why.
        self.reactor.callLater(0, self.close, error)

    def _ended(self, reason: object) -> None:
        if self.closed is not None:
            return
        error = EdgetainerError("session_closed", "The device's connection was lost.")
        value = reason.value if isinstance(reason, Failure) else None
        if isinstance(value, ConnectionClosed) and not value.by_peer and value.reason:
            # This end noticed it: its words say more than its number.
            detail = f"The device's connection ended here: {value.reason}."
            error = EdgetainerError("session_closed", printable(detail))
        elif isinstance(value, ConnectionClosed | SessionClosed):
            error = error_from_close(value.code)
        # The one may outlive the other; neither is of use alone.
        self.close(error)

    def _end(self, error: EdgetainerError) -> None:
        waiters, self._close_waiters = self._close_waiters, []
        for waiter in waiters:
            waiter.callback(error)
