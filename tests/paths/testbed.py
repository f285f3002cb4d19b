"""What the container of the path tests runs: sends, receives, echoes, never ends.

It runs alone in its container, with nothing but the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

PORT = 8000
CHUNK = 64 * 1024
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Ended:
    """How many never-ending answers have ended because their visitor left."""

    lock = threading.Lock()
    count = 0


class Handler(BaseHTTPRequestHandler):
    """One path for each kind of traffic."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/bytes":
            query = parse_qs(path.query)
            self._bytes(int(query["count"][0]), int(query["seed"][0]))
        elif path.path == "/forever":
            self._forever()
        elif path.path == "/ended":
            self._json({"count": Ended.count})
        elif path.path == "/request":
            self._json({"path": self.path, "headers": self.headers.items()})
        elif path.path == "/websocket":
            self._websocket()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        """Tells what arrived: length and SHA-256 of the body."""
        digest, length = hashlib.sha256(), 0
        for part in self._body():
            digest.update(part)
            length += len(part)
        self._json({"length": length, "sha256": digest.hexdigest()})

    def _body(self):  # type: ignore[no-untyped-def]
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers["Content-Length"])
        while left and (part := self.rfile.read(min(left, CHUNK))):
            left -= len(part)
            yield part

    def _bytes(self, count: int, seed: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(count))
        self.end_headers()
        source = random.Random(seed)
        while count:
            part = source.randbytes(min(count, CHUNK))
            self.wfile.write(part)
            count -= len(part)

    def _forever(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        number = 0
        try:
            while True:
                line = f"line {number}\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                number += 1
                time.sleep(0.05)
        except OSError:
            with Ended.lock:
                Ended.count += 1
            self.close_connection = True

    def _websocket(self) -> None:
        key = self.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        while True:
            opcode, payload = read_frame(self.rfile)
            self.wfile.write(frame(opcode, payload))
            if opcode == 8:
                return

    def _json(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def frame(opcode: int, payload: bytes, mask: bytes | None = None) -> bytes:
    """One whole WebSocket frame (RFC 6455, section 5.2); a client gives a mask."""
    bit = 0x80 if mask is not None else 0
    head = bytes([0x80 | opcode])
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([bit | 126]) + len(payload).to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + len(payload).to_bytes(8, "big")
    return head + payload if mask is None else head + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """The payload with the mask put on, or taken off."""
    length = len(payload)
    pattern = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(length, "big")


def read_frame(stream: BinaryIO) -> tuple[int, bytes]:
    """One whole frame: its opcode and payload."""
    first, second = read_exactly(stream, 2)
    length = second & 0x7F
    if length == 126:
        length = int.from_bytes(read_exactly(stream, 2), "big")
    elif length == 127:
        length = int.from_bytes(read_exactly(stream, 8), "big")
    mask = read_exactly(stream, 4) if second & 0x80 else b"\0\0\0\0"
    return first & 0x0F, masked(read_exactly(stream, length), mask)


def read_exactly(stream: BinaryIO, count: int) -> bytes:
    """Exactly so many bytes."""
    data = stream.read(count)
    if len(data) != count:
        raise EOFError(f"{len(data)} of {count} bytes")
    return data


if __name__ == "__main__":
    print(f"serving on port {PORT}", flush=True)
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
