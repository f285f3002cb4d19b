"""A program at the end of a channel: frames in, frames out.

Terminals and commands, on the host and in containers, differ in how the program
is run. What travels on the channel is the same, and so is its back-pressure:
the channel pauses the program when the link is slower, and the program pauses
the channel when it does not read.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.tunnel.channel import FrameProtocol
from edgetainer.tunnel.messages import Exit, FrameType, Resize, Signal


class ProgramListener(Protocol):
    """Who hears what a program does."""

    def output(self, data: bytes) -> None:
        """Bytes of standard output, or of the terminal."""

    def error_output(self, data: bytes) -> None:
        """Bytes of standard error."""

    def ended(self, code: int | None, signal: str | None) -> None:
        """The program is over; nothing follows."""


class Program(Protocol):
    """A running program, paused until `start`; a push producer of its output."""

    def start(self, listener: ProgramListener) -> None: ...

    def write(self, data: bytes) -> None: ...

    def close_input(self) -> None: ...

    def register_input(self, producer: IPushProducer) -> None:
        """Pause `producer` while the program does not read what was written."""

    def resize(self, columns: int, rows: int) -> None: ...

    def send_signal(self, name: str) -> None: ...

    def hang_up(self) -> None:
        """Nobody listens any more: end the program. Safe to call twice."""

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


class ProgramChannel(FrameProtocol):
    """Joins a program to its channel; the end of either is the end of both."""

    transport: Any

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program = program
        self._over = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self._program, True)
        self._program.register_input(_Input(self.transport))
        self._program.start(self)

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.DATA:
            self._program.write(payload)
        elif type is FrameType.EOF:
            self._program.close_input()
        elif type is FrameType.RESIZE:
            size = Resize.parse(payload)
            self._program.resize(size.columns, size.rows)
        elif type is FrameType.SIGNAL:
            self._program.send_signal(Signal.parse(payload).name)

    def output(self, data: bytes) -> None:
        self.send_frame(FrameType.DATA, data)

    def error_output(self, data: bytes) -> None:
        self.send_frame(FrameType.STDERR, data)

    def ended(self, code: int | None, signal: str | None) -> None:
        if self._over:
            return
        self._over = True
        self.transport.unregisterProducer()
        self.send(Exit(code=code, signal=signal))
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._over = True
        self._program.hang_up()


@implementer(IPushProducer)
class _Input:
    """The channel as a producer for the program's input.

    When a program closes its input, Twisted tells the producer to stop. That
    must not close the channel, whose output is still wanted: what comes is
    dropped from then on, so it may flow.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def pauseProducing(self) -> None:
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        self._transport.resumeProducing()
