"""What the two ends of a tunnel say to each other, as frozen values and bytes.

Pure: no I/O, no clock, no Twisted, so the server, the agent and any other
program may read and write the wire with it. PROTOCOL.md is the law; this is
its only implementation. The constructors check every field, whether the value
comes from our own code or from a peer, and raise ``invalid_field``; what
cannot be read at all is a ``protocol_violation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgetainer.errors import CODES, EdgetainerError
from edgetainer.tunnel.frames import (
    BYTE_FRAMES,
    Doorbell,
    Exit,
    Frame,
    FrameDecoder,
    FrameType,
    KeepaliveWish,
    Resize,
    Signal,
    encode_frame,
)
from edgetainer.tunnel.limits import (
    HELLO_HEADER,
    KEEPALIVE,
    MAX_CELLS,
    MAX_CHANNELS,
    MAX_FRAME,
    MAX_HEADER,
    MAX_HELLO,
    MAX_TIMEOUT,
    OPEN_DEADLINE,
    SESSION_PATH,
    VERSION,
)
from edgetainer.tunnel.targets import (
    ControlTarget,
    ExecTarget,
    Target,
    TcpTarget,
    TerminalTarget,
    encode_open,
    parse_open,
)
from edgetainer.tunnel.wire import (
    check_integer,
    dump_object,
    dump_prefixed,
    load_object,
    printable,
    violation,
)

_PREFIX = 4


class HeaderDecoder:
    """Collects one length-prefixed message; what follows it is left in `rest`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._done = False

    @property
    def rest(self) -> bytes:
        """Bytes after the message, once `push` has returned it."""
        return bytes(self._buffer) if self._done else b""

    def push(self, data: bytes) -> bytes | None:
        """Take bytes; return the message's body once it is whole, else None.

        :raises EdgetainerError: ``protocol_violation``, it is over `MAX_HEADER`.
        """
        self._buffer += data
        if self._done or len(self._buffer) < _PREFIX:
            return None
        size = int.from_bytes(self._buffer[:_PREFIX], "big")
        if size > MAX_HEADER:
            raise violation(f"The peer announced a header of {size} bytes, over {MAX_HEADER}.")
        if len(self._buffer) < _PREFIX + size:
            return None
        body = bytes(self._buffer[_PREFIX : _PREFIX + size])
        del self._buffer[: _PREFIX + size]
        self._done = True
        return body


def encode_reply(error: EdgetainerError | None) -> bytes:
    """The device's reply: None accepts the channel, an error refuses it."""
    if error is None:
        return dump_prefixed({"ok": True})
    return dump_prefixed({"ok": False, "code": error.code, "detail": printable(error.detail)})


def parse_reply(body: bytes) -> EdgetainerError | None:
    """Read the body of a reply: None if accepted, else why it was refused.

    :raises EdgetainerError: ``protocol_violation``, it is not a reply.
    """
    fields = load_object(body)
    accepted = fields.get("ok")
    if accepted is True:
        return None
    if accepted is not False:
        raise violation("The peer's reply neither accepts nor refuses the channel.", field="ok")
    return error_from(fields, otherwise="channel_refused")


def error_from(fields: Mapping[str, Any], *, otherwise: str) -> EdgetainerError:
    """The error that a peer named with "code" and "detail".

    A code unknown to this version becomes `otherwise`, and is kept in the detail.
    """
    code, detail = fields.get("code"), fields.get("detail")
    text = printable(detail) if isinstance(detail, str) else ""
    if isinstance(code, str) and code in CODES:
        return EdgetainerError(code, text)
    return EdgetainerError(otherwise, printable(f"{text} ({code})") if code else text)


def encode_hello(fields: Mapping[str, Any]) -> bytes:
    """The value of `HELLO_HEADER` for these fields; "v" is added.

    :raises EdgetainerError: ``invalid_field``, it is over `MAX_HELLO`.
    """
    value = dump_object({**fields, "v": VERSION})
    if len(value) > MAX_HELLO:
        raise EdgetainerError("invalid_field", f"A hello has at most {MAX_HELLO} bytes.")
    return value


def parse_hello(value: bytes) -> dict[str, Any]:
    """Read the value of `HELLO_HEADER`. The fields are JSON, otherwise unchecked.

    :raises EdgetainerError: ``protocol_violation`` or ``invalid_field``.
    """
    if len(value) > MAX_HELLO:
        raise violation(f"The peer sent a hello of {len(value)} bytes, over {MAX_HELLO}.")
    fields = load_object(value)
    check_integer("v", fields.get("v"), least=1, most=65_535)
    return fields


__all__ = [
    "BYTE_FRAMES",
    "HELLO_HEADER",
    "KEEPALIVE",
    "MAX_CELLS",
    "MAX_CHANNELS",
    "MAX_FRAME",
    "MAX_HEADER",
    "MAX_HELLO",
    "MAX_TIMEOUT",
    "OPEN_DEADLINE",
    "SESSION_PATH",
    "VERSION",
    "ControlTarget",
    "Doorbell",
    "ExecTarget",
    "Exit",
    "Frame",
    "FrameDecoder",
    "FrameType",
    "HeaderDecoder",
    "KeepaliveWish",
    "Resize",
    "Signal",
    "Target",
    "TcpTarget",
    "TerminalTarget",
    "encode_frame",
    "encode_hello",
    "encode_open",
    "encode_reply",
    "error_from",
    "parse_hello",
    "parse_open",
    "parse_reply",
]
