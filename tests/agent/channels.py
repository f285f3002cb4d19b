"""A channel without a tunnel: what the server's end of it would see."""

from __future__ import annotations

from typing import Any

import psutil
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.tunnel.messages import Exit, Frame, FrameDecoder, FrameType, encode_frame


@implementer(ITransport, IConsumer, IPushProducer)
class Channel:
    """A transport that decodes what the agent's protocol writes.

    Its far end reads only while `reading` is true: while it is not, more than
    `window` unread bytes pause the agent's producer, as a slow link does.

    :ivar unread: bytes the far end has not read; `most_unread`: the highest so far.
    """

    window = 256 * 1024

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._decoder = FrameDecoder()
        self._producer: Any = None
        self.protocol: Any = None
        self.frames: list[Frame] = []
        self.output = bytearray()
        self.errors = bytearray()
        self.exit: Exit | None = None
        self.reading = True
        self.unread = b""
        self.most_unread = 0
        self.input_paused = False
        self.closed = False

    def connect(self, protocol: Any) -> Channel:
        """Become the transport of an opened door's protocol."""
        self.protocol = protocol
        protocol.makeConnection(self)
        return self

    # The far end.

    def send(self, type: FrameType, payload: bytes = b"") -> None:
        self.protocol.dataReceived(encode_frame(type, payload))

    def type_line(self, text: str) -> None:
        self.send(FrameType.DATA, text.encode() + b"\r")

    def stop_reading(self) -> None:
        self.reading = False

    def start_reading(self) -> None:
        self.reading = True
        self._read()
        if self._producer is not None:
            self._producer.resumeProducing()

    def drop(self) -> None:
        """The channel is gone, as when a browser tab closes."""
        if not self.closed:
            self.closed = True
            self.protocol.connectionLost(Failure(ConnectionDone()))

    async def until(self, condition: Any, *, seconds: float = 10.0) -> None:
        """Let the reactor run until `condition()` holds."""
        deadline = self._reactor.seconds() + seconds
        while not condition():
            if self._reactor.seconds() > deadline:
                raise AssertionError(
                    f"not within {seconds} s; output {bytes(self.output[-500:])!r}, "
                    f"errors {bytes(self.errors[-500:])!r}, exit {self.exit}"
                )
            waiting: Deferred[None] = deferLater(self._reactor, 0.005)
            await waiting

    async def until_output(self, text: bytes, *, seconds: float = 10.0) -> None:
        await self.until(lambda: text in self.output, seconds=seconds)

    async def until_exit(self, *, seconds: float = 10.0) -> Exit:
        await self.until(lambda: self.exit is not None and self.closed, seconds=seconds)
        assert self.exit is not None
        return self.exit

    # The agent's end: a transport.

    def write(self, data: bytes) -> None:
        assert not self.closed, "written after the end"
        self.unread += data
        self.most_unread = max(self.most_unread, len(self.unread))
        if self.reading:
            self._read()
        elif len(self.unread) > self.window and self._producer is not None:
            self._producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self._reactor.callLater(0, self.drop)

    def abortConnection(self) -> None:
        self._reactor.callLater(0, self.drop)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def pauseProducing(self) -> None:
        self.input_paused = True

    def resumeProducing(self) -> None:
        self.input_paused = False

    def stopProducing(self) -> None:
        self.loseConnection()

    def getPeer(self) -> None: ...

    def getHost(self) -> None: ...

    def _read(self) -> None:
        self._decoder.push(self.unread)
        self.unread = b""
        while (frame := self._decoder.pull()) is not None:
            self.frames.append(frame)
            if frame.type is FrameType.DATA:
                self.output += frame.payload
            elif frame.type is FrameType.STDERR:
                self.errors += frame.payload
            elif frame.type is FrameType.EXIT:
                self.exit = Exit.parse(frame.payload)


def gone(process: psutil.Process) -> bool:
    """Whether a process is over, be it reaped already or not."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
