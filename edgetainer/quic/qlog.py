"""A record of one connection's packets, on request and within bounds.

The form is qlog (draft-ietf-quic-qlog-main-schema and -quic-events, as aioquic
names its events) as a sequence of JSON records (RFC 7464), compressed while it is
written. It tells which frames travelled when, how long they were, and what the
controller made of it: never what was in them, and no key or token.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

from aioquic.quic.connection import QuicConnection
from aioquic.quic.logger import QLOG_VERSION, QuicLoggerTrace

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of a record before it is compressed: minutes of a busy link. Compressed,
as it is kept in memory, it takes a tenth."""

MOST_WAITING = 64
"""Events about one packet: it holds fewer frames that have any."""

_GZIP = 16 + zlib.MAX_WBITS


class Recording(QuicLoggerTrace):
    """What was recorded of one connection.

    :param is_client: whose point of view it is.
    :param connection_id: names the connection in the record.
    :param clock: seconds, by any clock that goes on evenly; the record begins at 0.
    :param most: bytes before compression; what comes later is left out.
    """

    def __init__(
        self,
        *,
        is_client: bool,
        connection_id: bytes,
        clock: Callable[[], float],
        most: int = MOST_BYTES,
    ) -> None:
        super().__init__(is_client=is_client, odcid=connection_id)
        self._clock = clock
        self._began = clock()
        self._left = most
        self._compressor = zlib.compressobj(wbits=_GZIP)
        self._parts: list[bytes] = []
        self._done = False
        # The frames of a packet that came are known only after it was announced, so
        # events are written when the next packet is.
        self._waiting: list[dict[str, Any]] = []
        trace = {
            "vantage_point": self._vantage_point,
            "common_fields": {"ODCID": self._odcid.hex()},
        }
        self._write({"qlog_format": "JSON-SEQ", "qlog_version": QLOG_VERSION, "trace": trace})

    def log_event(self, *, category: str, event: str, data: dict[str, Any]) -> None:
        """One event; called by the connection."""
        if self._done or not self._left:
            return
        if event.startswith("packet_") or len(self._waiting) >= MOST_WAITING:
            self._flush()
        at = round(1000 * (self._clock() - self._began), 3)
        self._waiting.append({"time": at, "name": f"{category}:{event}", "data": data})

    def encode_new_connection_id_frame(
        self,
        connection_id: bytes,
        retire_prior_to: int,
        sequence_number: int,
        stateless_reset_token: bytes,
    ) -> dict[str, Any]:
        """As the base, without the token: who knows it can end the connection."""
        frame: dict[str, Any] = super().encode_new_connection_id_frame(
            connection_id, retire_prior_to, sequence_number, b""
        )
        del frame["reset_token"]
        return frame

    def encode_new_token_frame(self, token: bytes) -> dict[str, Any]:
        """As the base, without the token."""
        return {"frame_type": "new_token", "length": len(token)}

    def finish(self) -> bytes:
        """The whole record, a gzip file. Nothing is recorded any more."""
        if not self._done:
            self._flush()
            self._done = True
            self._parts.append(self._compressor.flush())
        return b"".join(self._parts)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            self._write(record)

    def _write(self, record: dict[str, Any]) -> None:
        text = b"\x1e" + json.dumps(record, separators=(",", ":")).encode() + b"\n"
        if len(text) > self._left:
            self._left = 0
            return
        self._left -= len(text)
        self._parts.append(self._compressor.compress(text))


class Recordable(QuicConnection):
    """Can be recorded while it runs; a part of `connection.Connection`."""

    def start_recording(self, recording: Recording) -> None:
        """Record from now on; not to be called while a datagram is read or written."""
        self._quic_logger = recording
        self._loss._quic_logger = recording

    def stop_recording(self) -> None:
        """Record no more."""
        self._quic_logger = None
        self._loss._quic_logger = None

    def _close_end(self) -> None:
        # The base would ask the configuration's logger, which there is not.
        self.stop_recording()
        super()._close_end()
