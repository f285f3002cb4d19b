"""Typed frames: what travels on terminal, exec and control channels.

A frame is a type (u8), a length (u24, big-endian) and that many bytes. Types
that this version does not know are skipped, so that either end may learn new
ones first. See PROTOCOL.md, "Frames".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Self

from edgetainer.tunnel.limits import MAX_CELLS, MAX_FRAME, MAX_KEEPALIVE
from edgetainer.tunnel.wire import (
    MAX_INTEGER,
    check_integer,
    check_number,
    check_text,
    dump_object,
    load_object,
    violation,
)

_HEAD = 4
_SIGNAL_NAME = re.compile(r"[A-Z][A-Z0-9]*")


class FrameType(IntEnum):
    """What a frame is for; the numbers are the wire's."""

    DATA = 0  #: bytes of standard input, output, or of the terminal
    STDERR = 1  #: bytes of standard error
    EOF = 2  #: the end of standard input
    RESIZE = 3  #: the terminal's new size, a `Resize`
    SIGNAL = 4  #: a signal for the program, a `Signal`
    EXIT = 5  #: how the program ended, an `Exit`; the last frame of a channel
    DOORBELL = 6  #: the device's assignments changed, a `Doorbell`
    KEEPALIVE = 7  #: how long the server shall wait before it speaks, a `KeepaliveWish`


#: Frames whose payloads are parts of one run of bytes, to be cut anywhere.
BYTE_FRAMES = frozenset({FrameType.DATA, FrameType.STDERR})


class Frame(NamedTuple):
    """One frame as it was received."""

    type: FrameType
    payload: bytes


def encode_frame(type: FrameType, payload: bytes = b"") -> bytes:
    """The bytes of one frame.

    :raises ValueError: the payload is over `MAX_FRAME` bytes, a mistake of ours.
    """
    if len(payload) > MAX_FRAME:
        raise ValueError(f"a frame holds at most {MAX_FRAME} bytes, not {len(payload)}")
    return (type << 24 | len(payload)).to_bytes(_HEAD, "big") + payload


class FrameDecoder:
    """Cuts a run of bytes into frames: `push` what arrived, `pull` until None.

    It holds at most what was pushed since the last None and less than one
    frame before that.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes held, in full and unfinished frames."""
        return len(self._buffer)

    def push(self, data: bytes) -> None:
        """Take bytes as they came from the transport."""
        self._buffer += data

    def pull(self) -> Frame | None:
        """The next whole frame of a known type, or None when more must arrive.

        :raises EdgetainerError: ``protocol_violation``, the frame is too long.
        """
        while len(self._buffer) >= _HEAD:
            size = int.from_bytes(self._buffer[1:_HEAD], "big")
            if size > MAX_FRAME:
                raise violation(f"The peer announced a frame of {size} bytes, over {MAX_FRAME}.")
            if len(self._buffer) < _HEAD + size:
                return None
            number = self._buffer[0]
            payload = bytes(self._buffer[_HEAD : _HEAD + size])
            del self._buffer[: _HEAD + size]
            if number in _KNOWN:
                return Frame(FrameType(number), payload)
        return None


@dataclass(frozen=True)
class Resize:
    """The terminal has this many columns and rows of characters now."""

    TYPE: ClassVar[FrameType] = FrameType.RESIZE
    columns: int
    rows: int

    def __post_init__(self) -> None:
        check_integer("columns", self.columns, least=1, most=MAX_CELLS)
        check_integer("rows", self.rows, least=1, most=MAX_CELLS)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read a payload; raises `EdgetainerError` for a wrong one, as do all below."""
        fields = load_object(payload)
        return cls(columns=fields.get("columns", 0), rows=fields.get("rows", 0))

    def encode(self) -> bytes:
        """The whole frame."""
        return _encode(self.TYPE, {"columns": self.columns, "rows": self.rows})


@dataclass(frozen=True)
class Signal:
    """Send the program the signal of this name, without "SIG": "INT", "TERM"."""

    TYPE: ClassVar[FrameType] = FrameType.SIGNAL
    name: str

    def __post_init__(self) -> None:
        check_text("name", self.name, most=16, pattern=_SIGNAL_NAME)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        return cls(name=load_object(payload).get("name", ""))

    def encode(self) -> bytes:
        return _encode(self.TYPE, {"name": self.name})


@dataclass(frozen=True)
class Exit:
    """How the program ended: by itself with `code`, or by `signal` ("KILL")."""

    TYPE: ClassVar[FrameType] = FrameType.EXIT
    code: int | None
    signal: str | None

    def __post_init__(self) -> None:
        if self.code is not None:
            check_integer("code", self.code, least=-(2**31), most=2**32 - 1)
        if self.signal is not None:
            check_text("signal", self.signal, most=16, pattern=_SIGNAL_NAME)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        fields = load_object(payload)
        return cls(code=fields.get("code"), signal=fields.get("signal"))

    def encode(self) -> bytes:
        return _encode(self.TYPE, {"code": self.code, "signal": self.signal})


@dataclass(frozen=True)
class Doorbell:
    """The device's assignments changed and are at this revision now: pull them."""

    TYPE: ClassVar[FrameType] = FrameType.DOORBELL
    revision: int

    def __post_init__(self) -> None:
        check_integer("revision", self.revision, least=0, most=MAX_INTEGER)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        return cls(revision=load_object(payload).get("revision", -1))

    def encode(self) -> bytes:
        return _encode(self.TYPE, {"revision": self.revision})


@dataclass(frozen=True)
class KeepaliveWish:
    """The device may be silent for so many seconds; then the server shall speak."""

    TYPE: ClassVar[FrameType] = FrameType.KEEPALIVE
    keepalive_s: float

    def __post_init__(self) -> None:
        check_number("keepalive_s", self.keepalive_s, above=0, most=MAX_KEEPALIVE)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        return cls(keepalive_s=load_object(payload).get("keepalive_s", 0))

    def encode(self) -> bytes:
        return _encode(self.TYPE, {"keepalive_s": self.keepalive_s})


def _encode(type: FrameType, fields: dict[str, Any]) -> bytes:
    return encode_frame(type, dump_object(fields))


_KNOWN = frozenset(int(type_) for type_ in FrameType)
