"""Takes a bulk transfer in, checks every byte and remembers when how much had come."""

from __future__ import annotations

import socket
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from bench import pattern

#: Seconds between two samples at least: fine enough for any figure that is reported.
STEP_S = 0.002
#: Bytes read at once; not more than the pattern's period.
CHUNK = 256 * 1024


@dataclass
class Transfer:
    """What a receiver saw. Times are of the monotonic clock, one for all processes."""

    #: (seconds, bytes so far), in order.
    samples: list[tuple[float, int]] = field(default_factory=list)
    total: int = 0
    #: Offset of the first byte that was not the right one, or None.
    wrong_at: int | None = None
    #: The longest time between two arrivals, in seconds.
    longest_gap_s: float = 0.0
    #: Why it ended: "end" of the sender, "time", "stopped", or an error's name.
    ended: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def take(connection: socket.socket, *, until: float | None = None) -> Transfer:
    """Receive until the end, or until this time."""
    transfer = Transfer()
    buffer = memoryview(bytearray(CHUNK))
    sampled = heard = time.monotonic()
    try:
        while True:
            if until is not None:
                left = until - time.monotonic()
                if left <= 0:
                    transfer.ended = "time"
                    break
                connection.settimeout(left)
            size = connection.recv_into(buffer)
            now = time.monotonic()
            if not size:
                transfer.ended = "end"
                break
            if transfer.wrong_at is None and not pattern.matches(transfer.total, buffer[:size]):
                transfer.wrong_at = transfer.total
            transfer.total += size
            transfer.longest_gap_s = max(transfer.longest_gap_s, now - heard)
            heard = now
            if now - sampled >= STEP_S:
                sampled = now
                transfer.samples.append((now, transfer.total))
    except TimeoutError:
        transfer.ended = "time"
    except OSError as error:
        transfer.ended = type(error).__name__
    transfer.samples.append((time.monotonic(), transfer.total))
    return transfer


def give(connection: socket.socket, *, size: int | None, until: float | None = None) -> int:
    """Send `size` bytes of the pattern, or without end until this time; the bytes sent."""
    sent = 0
    try:
        while size is None or sent < size:
            if until is not None:
                left = until - time.monotonic()
                if left <= 0:
                    break
                connection.settimeout(left)
            most = CHUNK if size is None else min(CHUNK, size - sent)
            sent += connection.send(pattern.piece(sent, most))
    except OSError:
        pass  # the receiver had enough, or the time is over: both are how it ends
    return sent
