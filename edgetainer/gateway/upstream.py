"""HTTP/1.1 towards the container: one request, one answer, one stream.

The transport is whatever the endpoint gave: a tunnel Channel in production.
Answers are believed only as far as h11 can read them; what an `Upstream` learns
it tells its `Reader` (the `Exchange`). Closing by the container ends an answer
only where HTTP says so; anything else is a failure, never a short answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h11
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.head import RequestHead
from edgetainer.gateway.parties import Reader
from edgetainer.quic.errors import StreamReset


@implementer(IPushProducer, IHalfCloseableProtocol)
class Upstream(Protocol):
    """The gateway's end of one stream to a container.

    :param head_bytes: the longest response head that is read.
    """

    transport: Any

    def __init__(self, reader: Reader, *, head_bytes: int) -> None:
        self._reader: Reader | None = reader
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=head_bytes)
        self._paused = False
        self._raw = False
        self._eof = False
        self._silent = True

    # Towards the container.

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def send_head(self, head: RequestHead, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Send the request's head."""
        request = h11.Request(method=head.method, target=head.target, headers=list(headers))
        self.transport.write(self._h11.send(request))

    def send_body(self, data: bytes) -> None:
        """Send a piece of the body, or raw bytes after the switch."""
        if self._raw:
            self.transport.write(data)
        elif self._h11.our_state is h11.SEND_BODY:
            self.transport.write(self._h11.send(h11.Data(data=data)))

    def end_body(self) -> None:
        """The request is complete."""
        if self._h11.our_state is h11.SEND_BODY:
            self.transport.write(self._h11.send(h11.EndOfMessage()))

    def pause(self) -> None:
        """Take no more of the answer."""
        if not self._paused:
            self._paused = True
            if not self._eof:
                self.transport.pauseProducing()

    def resume(self) -> None:
        """Take the answer again, first what is here already."""
        if self._paused:
            self._paused = False
            self._read()
            if not self._paused and not self._eof and self._reader is not None:
                self.transport.resumeProducing()

    def close(self) -> None:
        """Nothing more is wanted: flush and end the stream."""
        self._reader = None
        self.transport.unregisterProducer()
        if self._raw or self._h11.our_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED):
            self.transport.loseConnection()
        else:
            # A request that was cut must not look complete.
            self.transport.abortConnection()

    # From the container.

    def dataReceived(self, data: bytes) -> None:
        if self._reader is None:
            return
        self._silent = False
        if self._raw:
            self._reader.answer_received(data)
        else:
            self._h11.receive_data(data)
            self._read()

    def readConnectionLost(self) -> None:
        self._end_of_input()

    def writeConnectionLost(self) -> None:
        """The container takes no more; its answer may still come, so the rest is dropped."""
        if self._reader is not None:
            self._reader.release_body()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._eof:
            return  # it has said everything; what waits here for its reader still goes
        if reason.check(ConnectionDone):
            self._end_of_input()
        elif self._reader is not None:
            if reason.check(StreamReset):
                # The device is there; what runs on it broke the connection off.
                error = EdgetainerError("upstream_invalid", "The container: cut the connection.")
            else:
                error = EdgetainerError("session_closed", "The stream to the device was broken.")
            self._reader.answer_failed(error)

    def _end_of_input(self) -> None:
        if self._eof or self._reader is None:
            return
        self._eof = True
        if self._raw:
            self._reader.answer_ended()
        else:
            self._h11.receive_data(b"")
            self._read()

    def _read(self) -> None:
        try:
            while self._reader is not None and not self._paused and not self._raw:
                event = self._h11.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.ConnectionClosed):
                    raise h11.RemoteProtocolError("closed without an answer")
                self._tell(self._reader, event)
        except h11.RemoteProtocolError as error:
            self._invalid(error)

    def _tell(self, reader: Reader, event: object) -> None:
        if isinstance(event, h11.Data):
            reader.answer_received(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            reader.answer_ended()
        elif isinstance(event, h11.Response):
            reader.answer_begun(event.status_code, list(event.headers), bytes(event.reason))
        elif isinstance(event, h11.InformationalResponse):
            if event.status_code != 101:
                reader.answer_informed(event.status_code, list(event.headers))
                return
            self._raw = True
            reader.answer_switched(list(event.headers))
            early, _ = self._h11.trailing_data
            if early and self._reader is not None:
                reader.answer_received(early)

    def _invalid(self, error: h11.RemoteProtocolError) -> None:
        reader = self._reader
        if reader is not None:
            what = "closed the connection without answering" if self._silent else str(error)
            reader.answer_failed(EdgetainerError("upstream_invalid", f"The container: {what}."))

    # What the stream tells us about our writing (IPushProducer).

    def pauseProducing(self) -> None:
        if self._reader is not None:
            self._reader.hold_body()

    def resumeProducing(self) -> None:
        if self._reader is not None:
            self._reader.release_body()

    def stopProducing(self) -> None:
        """The stream is gone; connectionLost follows and does the work."""
