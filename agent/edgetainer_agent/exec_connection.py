"""The raw connection to a program that Docker's exec started.

The engine's socket is joined to the reactor directly: the request below turns
an HTTP connection into a raw one (Docker Engine API, `POST /exec/{id}/start`
with `Upgrade: tcp`). The docker package's own socket was not used because it
may have read the program's first bytes into a buffer that it does not give away.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError

#: Response head of the engine, bytes; it is a few lines.
MAX_HEAD_BYTES = 16 * 1024


class ExecOwner(Interface):
    """Who hears what the connection does."""

    def received(self, data: bytes) -> None:
        """Bytes of the program, as Docker frames them."""

    def disconnected(self) -> None:
        """The engine closed it: the program is over."""


class Demultiplexer:
    """Cuts Docker's stream of a program without a terminal into its outputs.

    Each piece has a head: the stream (1 stdout, 2 stderr), three zeros and a
    length (u32, big-endian). Pieces are handed on as they come, not collected.

    :param deliver: gets the stream's number and bytes.
    """

    def __init__(self, deliver: Callable[[int, bytes], None]) -> None:
        self._deliver = deliver
        self._head = b""
        self._stream = 0
        self._left = 0

    def push(self, data: bytes) -> None:
        """Take bytes as they came."""
        while data:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                self._deliver(self._stream, piece)
                continue
            missing = 8 - len(self._head)
            self._head, data = self._head + data[:missing], data[missing:]
            if len(self._head) == 8:
                self._stream = self._head[0]
                self._left = int.from_bytes(self._head[4:], "big")
                self._head = b""


class ExecConnection(Protocol):
    """Starts an exec on a connection of its own, which then is its streams.

    `started` fires when it runs, or errbacks with `EdgetainerError`
    `command_failed`.
    """

    transport: Any

    def __init__(self, exec_id: str, *, tty: bool, owner: ExecOwner) -> None:
        self._id = exec_id
        self._tty = tty
        self._owner = owner
        self._head: bytes | None = b""
        self.started: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        body = json.dumps({"Detach": False, "Tty": self._tty}).encode()
        self.transport.write(
            b"POST /exec/%s/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\n"
            b"Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (self._id.encode("ascii"), len(body), body)
        )

    def dataReceived(self, data: bytes) -> None:
        if self._head is None:
            self._owner.received(data)
            return
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            if len(self._head) > MAX_HEAD_BYTES:
                self._fail("its answer is not HTTP")
            return
        status = head.split(b"\r\n", 1)[0].split(b" ")
        if len(status) < 2 or status[1] not in (b"101", b"200"):
            self._fail(rest.decode("utf-8", "replace")[:500] or "it refused")
            return
        self._head = None
        if rest:
            self._owner.received(rest)
        self.transport.pauseProducing()
        self.started.callback(None)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self._head is None:
            self._owner.disconnected()
        elif not self.started.called:
            self._fail("it closed the connection")

    def drop(self) -> None:
        """Leave at once."""
        if self.transport is not None:
            self.transport.abortConnection()

    def _fail(self, why: str) -> None:
        if not self.started.called:
            self.started.errback(
                EdgetainerError("command_failed", f"The engine did not start the program: {why}")
            )
        self.drop()
