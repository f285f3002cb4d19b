"""aioquic's HTTP/3 framing, with bounds on what a peer can make it hold.

The base buffers a frame until it is whole, whatever length it announces, and
decompresses header blocks that expand a thousandfold. WebTransport streams are
taken out of its hands as soon as they are known (`forget`): from then on their
bytes go straight to their transport. That is also the repair for streams that
this end opens, whose answers the base would parse as HTTP/3 frames.
"""

from __future__ import annotations

import pylsqpack
from aioquic.h3.connection import ErrorCode, FrameType, H3Connection, ProtocolError, Setting
from aioquic.h3.events import Headers
from aioquic.quic.connection import QuicConnection

MAX_HEADER_BLOCK = 32 * 1024
"""Compressed bytes of one header block, and of SETTINGS: ours are under 2 KiB."""

MAX_HEADER_LIST = 64 * 1024
"""Bytes of a decoded header list, counted as in RFC 9114 section 4.2.2."""

QPACK_TABLE = 1024
"""Bytes of the dynamic table: room for the handful of headers that repeat, and
a small factor for blocks made to expand."""

QPACK_BLOCKED_STREAMS = 0
"""Header blocks use only table entries that were acknowledged, so none ever waits
for another stream: no head-of-line blocking, and a stream that QUIC has finished
has no block left to decode."""


class ExcessiveLoad(ProtocolError):
    """The peer makes us work or store too much (RFC 9114 section 8.1)."""

    error_code = ErrorCode.H3_EXCESSIVE_LOAD


class Framing(H3Connection):
    """The HTTP/3 framing layer of one connection."""

    def __init__(self, quic: QuicConnection) -> None:
        super().__init__(quic, enable_webtransport=True)

    def held(self, stream_id: int) -> int:
        """Bytes of a stream that wait here for the rest of their frame.

        Nobody consumes them while they wait, so the stream's window bounds them.
        """
        stream = self._stream.get(stream_id)
        return 0 if stream is None else len(stream.buffer)

    def check_bounds(self, stream_id: int) -> None:
        """Close the connection when a frame that must be held whole is too large."""
        stream = self._stream.get(stream_id)
        if stream is None or self._is_done:
            return
        announced = stream.frame_size or 0
        frame_type = stream.frame_type
        if (
            frame_type in (FrameType.HEADERS, FrameType.PUSH_PROMISE, FrameType.SETTINGS)
            and announced > MAX_HEADER_BLOCK
        ):
            self._is_done = True
            self._quic.close(
                error_code=ErrorCode.H3_EXCESSIVE_LOAD, reason_phrase="the frame is too large"
            )

    def webtransport_session(self, stream_id: int) -> int | None:
        """The session that a stream declared itself part of, if it did."""
        stream = self._stream.get(stream_id)
        if stream is None or stream.frame_type != FrameType.WEBTRANSPORT_STREAM:
            return None
        return stream.session_id

    def forget(self, stream_id: int) -> None:
        """Let go of a stream that is over, or whose bytes go elsewhere from now on."""
        self._stream.pop(stream_id, None)

    def settings_arrived(self) -> bool:
        """Whether the peer's SETTINGS frame was received."""
        return self._settings_received

    def peer_speaks_webtransport(self) -> bool:
        """Whether the peer's settings admit WebTransport sessions."""
        settings = self.received_settings or {}
        return (
            settings.get(Setting.ENABLE_WEBTRANSPORT) == 1
            and settings.get(Setting.ENABLE_CONNECT_PROTOCOL) == 1
        )

    # Overridden.

    def _init_connection(self) -> None:
        self._max_push_id = None  # Servers may push nothing.
        self._max_table_capacity = QPACK_TABLE
        self._blocked_streams = QPACK_BLOCKED_STREAMS
        self._decoder = pylsqpack.Decoder(QPACK_TABLE, QPACK_BLOCKED_STREAMS)
        super()._init_connection()

    def _get_local_settings(self) -> dict[int, int]:
        settings = super()._get_local_settings()
        settings[Setting.MAX_FIELD_SECTION_SIZE] = MAX_HEADER_LIST
        return settings

    def _decode_headers(self, stream_id: int, frame_data: bytes | None) -> Headers:
        headers = super()._decode_headers(stream_id, frame_data)
        if sum(len(name) + len(value) + 32 for name, value in headers) > MAX_HEADER_LIST:
            raise ExcessiveLoad("the header list is too large")
        return headers
