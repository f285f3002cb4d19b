"""A channel's two layers above its stream: the opening, then frames.

A channel starts with one length-prefixed message (`HandoverProtocol`), after
which the stream belongs to another protocol: any protocol for raw bytes, or a
`FrameProtocol`. Both ends of a tunnel use both classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from edgetainer.errors import EdgetainerError
from edgetainer.quic.schedule import Priority
from edgetainer.tunnel.limits import MAX_FRAME, MAX_HEADER
from edgetainer.tunnel.messages import (
    BYTE_FRAMES,
    FrameDecoder,
    FrameType,
    HeaderDecoder,
    encode_frame,
)
from edgetainer.tunnel.wire import violation

log = Logger()


def abort(transport: ITransport) -> None:
    """End a stream at once, without flushing, where its transport knows how."""
    getattr(transport, "abortConnection", transport.loseConnection)()


def set_priority(transport: ITransport, priority: Priority) -> None:
    """Class what is written to a stream, where its transport knows classes."""
    setter = getattr(transport, "set_priority", None)
    if setter is not None:
        setter(priority)


class FrameProtocol(Protocol):
    """Typed frames over a channel. Subclasses give `frame_received`.

    A peer that breaks the framing, or sends a payload that `frame_received`
    refuses with an `EdgetainerError`, loses the channel and nothing else.
    """

    def makeConnection(self, transport: ITransport) -> None:
        # Here and not in connectionMade, which subclasses override freely.
        self._decoder = FrameDecoder()
        self._broken = False
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        """A frame of a known type has arrived."""
        raise NotImplementedError

    def send_frame(self, type: FrameType, payload: bytes = b"") -> None:
        """Send a frame; longer runs of DATA and STDERR bytes go as several."""
        transport = cast(ITransport, self.transport)
        if len(payload) <= MAX_FRAME or type not in BYTE_FRAMES:
            transport.write(encode_frame(type, payload))
            return
        for start in range(0, len(payload), MAX_FRAME):
            transport.write(encode_frame(type, payload[start : start + MAX_FRAME]))

    def send(self, message: object) -> None:
        """Send one of `Resize`, `Signal`, `Exit`, `Doorbell`."""
        cast(ITransport, self.transport).write(message.encode())  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        self._decoder.push(data)
        try:
            while not self._broken and (frame := self._decoder.pull()) is not None:
                self.frame_received(frame.type, frame.payload)
        except EdgetainerError as error:
            self.violated(error)

    def violated(self, error: EdgetainerError) -> None:
        """The peer broke the protocol: log it and drop the channel."""
        self._broken = True
        log.warn("channel dropped: {error}", error=error)
        abort(cast(ITransport, self.transport))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._broken = True


class _Gate:
    """The stream as seen by an owner for whom bytes are kept: pausing keeps them too."""

    def __init__(self, transport: Any, replay: Callable[[], None]) -> None:
        self.paused = False
        self._transport = transport
        self._replay = replay
        directlyProvides(self, providedBy(transport))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def pauseProducing(self) -> None:
        self.paused = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        self._replay()
        if not self.paused:
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        self.paused = True
        self._transport.stopProducing()


@implementer(IHalfCloseableProtocol)
class HandoverProtocol(Protocol):
    """Reads one message, then gives the stream to the protocol it leads to.

    Subclasses give `header_received` and `lost_early`, and call `hand_over`.
    What the peer sent meanwhile, its end included, is kept for the new owner.
    """

    #: Bytes that a peer may send ahead of the handover; more drops the channel.
    early_limit = MAX_HEADER

    #: Called once when the stream is gone, whoever owned it then.
    on_ended: Callable[[], None] | None = None

    def makeConnection(self, transport: ITransport) -> None:
        self._decoder = HeaderDecoder()
        self._owner: IProtocol | None = None
        self._live = False
        self._replaying = False
        self._gate: _Gate | None = None
        self._header_read = False
        self._early = b""
        self._read_ended = False
        self._lost = False
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def header_received(self, body: bytes) -> None:
        """The message is whole; raising `EdgetainerError` drops the channel."""
        raise NotImplementedError

    def lost_early(self, error: EdgetainerError | None) -> None:
        """The stream ended before the handover: `error` if the peer broke the protocol."""
        raise NotImplementedError

    def hand_over(self, owner: IProtocol, announce: Callable[[], None] | None = None) -> None:
        """Connect `owner`, call `announce`, then replay to `owner` what came early."""
        transport: Any = self.transport
        self._owner = owner
        if self._early or self._read_ended:
            transport = self._gate = _Gate(transport, self._replay)
        else:
            self._live = True
        owner.makeConnection(transport)
        if announce is not None:
            announce()
        self._replay()

    def dataReceived(self, data: bytes) -> None:
        if self._live and self._owner is not None:
            self._owner.dataReceived(data)
        elif self._lost:
            return
        elif self._owner is not None:
            # Behind what came early; an owner that paused has paused this too.
            self._early += data
        elif self._header_read:
            self._keep(data)
        else:
            self._read_header(data)

    def _replay(self) -> None:
        if self._live or self._replaying or self._owner is None or self._gate is None:
            return
        self._replaying = True
        while self._early and not self._gate.paused and not self._lost:
            early, self._early = self._early, b""
            self._owner.dataReceived(early)
        self._replaying = False
        if not self._gate.paused and not self._lost:
            self._live = True
            if self._read_ended:
                self._end_reading(self._owner)

    def readConnectionLost(self) -> None:
        self._read_ended = True
        if self._live and self._owner is not None:
            self._end_reading(self._owner)
        elif not self._header_read:
            self._drop(violation("The peer ended the channel in the middle of its first message."))

    def writeConnectionLost(self) -> None:
        if self._owner is not None and IHalfCloseableProtocol.providedBy(self._owner):
            cast(IHalfCloseableProtocol, self._owner).writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        ended, self.on_ended = self.on_ended, None
        if ended is not None:
            ended()
        if self._lost:
            return
        self._lost = True
        if self._owner is not None:
            self._owner.connectionLost(reason)
        else:
            self.lost_early(None)

    def _read_header(self, data: bytes) -> None:
        try:
            body = self._decoder.push(data)
            if body is None:
                return
            self._header_read = True
            self._early = self._decoder.rest
            self.header_received(body)
        except EdgetainerError as error:
            self._drop(error)

    def _keep(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > self.early_limit:
            self._drop(violation("The peer sent too much before the channel was accepted."))

    def _drop(self, error: EdgetainerError) -> None:
        if self._lost:
            return
        self._lost = True
        abort(cast(ITransport, self.transport))
        self.lost_early(error)

    def _end_reading(self, owner: IProtocol) -> None:
        if IHalfCloseableProtocol.providedBy(owner):
            cast(IHalfCloseableProtocol, owner).readConnectionLost()
        else:
            # As Twisted's own transports do with a protocol that knows no
            # half-closed state: the end of one direction is the end.
            cast(ITransport, self.transport).loseConnection()
