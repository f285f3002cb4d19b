"""A terminal: the browser's xterm joined to a pseudo-terminal on a device.

Bytes go through as they come. Towards the browser at most `HIGH` of them are
under way: the browser acknowledges what it has drawn, and the device's channel
is paused until it has, so that Ctrl-C is not behind megabytes of output. What is
typed waits here while the device takes none, up to `INPUT_BYTES`: the browser's
socket is read all the time, or its acknowledgements and pongs would wait behind
a paste, and a program that echoes one would stand still for ever.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.hub.socket import Socket, parse_message
from edgetainer.services.terminals import Terminal, Terminals
from edgetainer.tunnel.channel import FrameProtocol, abort
from edgetainer.tunnel.messages import Exit, FrameType, Resize

#: Bytes sent to the browser and not yet acknowledged: above HIGH the device
#: pauses, below LOW it goes on. xterm.js draws some megabytes a second, so HIGH
#: is about 100 ms of screen.
HIGH = 512 * 1024
LOW = 128 * 1024
#: Bytes typed or pasted that wait for the device. Four of the longest messages; the
#: 64 sockets that one address may have then hold no more than 256 MiB.
INPUT_BYTES = 4 * 1024 * 1024


class TerminalSocket(Socket):
    """The browser's side."""

    def __init__(
        self, *, clock: IReactorTime, origins: frozenset[str], terminals: Terminals
    ) -> None:
        super().__init__(clock=clock, origins=origins)
        self._terminals = terminals
        self._terminal: Terminal | None = None
        self._channel: TerminalChannel | None = None
        self._connecting: Deferred[Any] | None = None
        self._began = 0.0
        self._unacknowledged = 0
        self._held = False
        self._typed = 0
        self._shown = 0
        self._why = "left"

    async def admit(self, ticket: str) -> None:
        terminal = await self._terminals.redeem(ticket)
        if self._gone:
            return  # nothing is opened on the device for somebody who has left
        self._began = self._clock.seconds()
        self._terminal = terminal
        factory = _ChannelFactory(self)
        self._connecting = Deferred.fromCoroutine(self._terminals.connect(terminal, factory))
        await self._connecting

    def received(self, payload: bytes, binary: bool) -> None:
        if self._channel is None:
            return
        if binary:
            self._typed += len(payload)
            self._channel.type(payload)
            return
        message = parse_message(payload, binary)
        kind = message.get("type")
        if kind == "resize":
            self._channel.resize(
                Resize(columns=message.get("columns", 0), rows=message.get("rows", 0))
            )
        elif kind == "ack":
            self._acknowledged(message.get("bytes"))
        else:
            raise EdgetainerError("invalid_request", "There is no such message.")

    async def recheck(self) -> None:
        if self._terminal is not None:
            await self._terminals.check(self._terminal)

    def refuse(self, error: EdgetainerError) -> None:
        self._why = error.code
        super().refuse(error)

    def left(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.leave()
            if self._terminal is not None:
                Deferred.fromCoroutine(
                    self._terminals.closed(
                        self._terminal,
                        seconds=self._clock.seconds() - self._began,
                        typed=self._typed,
                        shown=self._shown,
                        why=self._why,
                    )
                ).addErrback(self._not_written_down)
        elif self._connecting is not None:
            self._connecting.cancel()

    # From the device.

    def channel_opened(self, channel: TerminalChannel) -> None:
        """The device has accepted."""
        if self._gone or self._terminal is None:
            channel.leave()
        else:
            self._channel = channel
            self.ready({"id": self._terminal.id})

    def shown(self, data: bytes) -> None:
        """The terminal's output."""
        if self._channel is None:
            return
        self._shown += len(data)
        self._unacknowledged += len(data)
        self.sendMessage(data, isBinary=True)
        if self._unacknowledged >= HIGH and not self._held:
            self._held = True
            self._channel.hold()

    def exited(self, exit_: Exit) -> None:
        """The program has ended."""
        self._why = "exit"
        self.tell({"type": "exit", "code": exit_.code, "signal": exit_.signal})
        self.end()

    def cut(self, error: EdgetainerError) -> None:
        """The channel ended without a word of the program's end."""
        if self._channel is not None:
            self.refuse(error)

    def _acknowledged(self, count: object) -> None:
        if not isinstance(count, int) or not 0 <= count <= self._unacknowledged:
            raise EdgetainerError(
                "invalid_field", "More was acknowledged than sent.", field="bytes"
            )
        self._unacknowledged -= count
        if self._held and self._unacknowledged < LOW and self._channel is not None:
            self._held = False
            self._channel.release()

    def _not_written_down(self, failure: Failure) -> None:
        self.log.failure("the end of a terminal could not be written to the audit", failure)


@implementer(IPushProducer)
class TerminalChannel(FrameProtocol):
    """The device's side."""

    transport: Any

    def __init__(self, socket: TerminalSocket) -> None:
        self._socket = socket
        self._left = False
        self._full = False
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._size: Resize | None = None  # the newest one that waits

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self._socket.channel_opened(self)

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type in (FrameType.DATA, FrameType.STDERR):
            self._socket.shown(payload)
        elif type is FrameType.EXIT:
            self._socket.exited(Exit.parse(payload))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if not self._left:
            self._left = True
            self._socket.cut(
                EdgetainerError("session_closed", "The connection to the device was lost.")
            )

    def leave(self) -> None:
        """The browser is gone: so is the terminal."""
        if not self._left:
            self._left = True
            self.transport.unregisterProducer()
            abort(self.transport)

    def type(self, data: bytes) -> None:
        """Send input, at once or when the device takes it.

        :raises EdgetainerError: ``input_limit``.
        """
        if not self._full:
            self.send_frame(FrameType.DATA, data)
            return
        if self._waiting_bytes + len(data) > INPUT_BYTES:
            raise EdgetainerError(
                "input_limit",
                "The device takes input too slowly for so much of it. Paste less at a time.",
            )
        self._waiting.append(data)
        self._waiting_bytes += len(data)

    def resize(self, size: Resize) -> None:
        """Tell the terminal's size; of sizes that wait only the newest matters."""
        if self._full:
            self._size = size
        else:
            self.send(size)

    def hold(self) -> None:
        """Bring no more output."""
        self.transport.pauseProducing()

    def release(self) -> None:
        """Bring output again."""
        self.transport.resumeProducing()

    # The channel's word about our writing (IPushProducer).

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        if self._left:
            return
        if self._size is not None:
            size, self._size = self._size, None
            self.send(size)
        # Each piece may fill the channel again.
        while self._waiting and not self._full:
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            self.send_frame(FrameType.DATA, data)

    def stopProducing(self) -> None:
        """The channel is gone; connectionLost follows."""


class _ChannelFactory(Factory):
    noisy = False

    def __init__(self, socket: TerminalSocket) -> None:
        self._socket = socket

    def buildProtocol(self, addr: object) -> TerminalChannel:
        return TerminalChannel(self._socket)
