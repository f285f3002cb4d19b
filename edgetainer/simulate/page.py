"""What answers on every exposed port of a simulated device: a small web page.

HTTP/1.1 (RFC 9112) as far as a page needs it: GET and HEAD, keep-alive, and
`/bytes/N` for a body of N bytes, written as fast as the tunnel takes it. Anything
else is told so and the connection ends.
"""

from __future__ import annotations

import html
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

#: Bytes of a request's head; what is longer was not meant for this page.
MAX_HEAD = 16 * 1024
#: Most bytes of `/bytes/N`: a gigabyte fills any link for long enough.
MAX_BYTES = 1 << 30
_BLOCK = bytes(range(256)) * 64


@implementer(IPushProducer)
class Page(Protocol):
    """One connection to a simulated container's port.

    :param device: the device's name.
    :param service: the container's.
    """

    transport: Any

    def __init__(self, device: str, service: str, port: int) -> None:
        self._title = f"{service}:{port} on {device}"
        self._head = b""
        self._left = 0
        self._paused = False

    def dataReceived(self, data: bytes) -> None:
        self._head += data
        while not self._left and b"\r\n\r\n" in self._head:
            head, _, self._head = self._head.partition(b"\r\n\r\n")
            if not self._answer(head.split(b"\r\n")):
                self.transport.loseConnection()
                return
        if len(self._head) > MAX_HEAD:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._left = 0

    def _answer(self, lines: list[bytes]) -> bool:
        """Answer one request; whether another may follow on this connection."""
        method, _, rest = lines[0].partition(b" ")
        path = rest.partition(b" ")[0]
        fields = {name.lower(): value.strip() for name, _, value in
                  (line.partition(b":") for line in lines[1:])}  # fmt: skip
        stays = rest.endswith(b"HTTP/1.1") and fields.get(b"connection", b"").lower() != b"close"
        if method not in (b"GET", b"HEAD") or b"transfer-encoding" in fields or (
            fields.get(b"content-length", b"0") != b"0"
        ):  # fmt: skip
            self._send(405, b"text/plain", b"This page can only be read.\n")
            return False
        if path.startswith(b"/bytes/"):
            return self._send_bytes(path.removeprefix(b"/bytes/"), method) and stays
        if path == b"/":
            title = html.escape(self._title)
            body = f"<!doctype html><title>{title}</title><h1>{title}</h1>\n".encode()
            self._send(200, b"text/html; charset=utf-8", body, empty=method == b"HEAD")
        else:
            self._send(404, b"text/plain", b"There is no such page.\n", empty=method == b"HEAD")
        return stays

    def _send_bytes(self, count: bytes, method: bytes) -> bool:
        if not count.isdigit() or len(count) > 10 or int(count) > MAX_BYTES:
            self._send(400, b"text/plain", b"So many bytes are not to be had.\n")
            return False
        self._send_head(200, b"application/octet-stream", int(count))
        if method == b"GET" and int(count):
            self._left = int(count)
            self._paused = False
            self.transport.registerProducer(self, True)
            self._produce()
        return True

    def _send(self, status: int, kind: bytes, body: bytes, *, empty: bool = False) -> None:
        self._send_head(status, kind, len(body))
        if not empty:
            self.transport.write(body)

    def _send_head(self, status: int, kind: bytes, length: int) -> None:
        self.transport.write(
            b"HTTP/1.1 %d Simulated\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
            % (status, kind, length)
        )

    # The producer of `/bytes/N`.

    def resumeProducing(self) -> None:
        self._paused = False
        self._produce()
        if not self._left:
            self.dataReceived(b"")  # what was asked meanwhile

    def _produce(self) -> None:
        while self._left and not self._paused:
            piece = _BLOCK[: self._left]
            self._left -= len(piece)
            self.transport.write(piece)
        if not self._left:
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._left = 0
