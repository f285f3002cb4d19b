"""How much of the gateway one visitor may hold, and for how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from edgetainer.services.throttle import address_key


@dataclass(frozen=True)
class Limits:
    """Bounds of the HTTPS port. Seconds and bytes, as the names say."""

    #: From accept to the end of the TLS handshake.
    handshake_s: float = 10.0
    #: From a request's first byte (the first request: from the handshake) to the end
    #: of its head, absolute: no byte extends it.
    head_s: float = 10.0
    #: Between two requests of one connection.
    idle_s: float = 60.0
    #: From our closing to giving the connection up; the last bytes of a slow reader
    #: drain in it.
    linger_s: float = 60.0
    #: From the end of the request to the head of the answer.
    answer_s: float = 120.0
    #: A container that waits silently for the body is helped with a 100 after this.
    continue_s: float = 1.0
    #: One direction may stand still, because its reader does not read, for this long.
    stall_s: float = 300.0
    #: Between checks that the visitor may still be here; they are answered from memory.
    recheck_s: float = 10.0
    #: A body slower than this many bytes a second, over `body_window_s`, while
    #: nothing but the visitor holds it up, is given up.
    body_rate: int = 256
    body_window_s: float = 30.0
    #: Read ahead of the request under way: pipelined requests, or a body that came early.
    backlog_bytes: int = 64 * 1024
    #: Of a request body whose answer is already complete, read and dropped to keep
    #: the connection.
    drain_bytes: int = 256 * 1024
    #: Head of a container's response. Twice what visitors may send.
    answer_head_bytes: int = 32 * 1024
    #: Requests on one connection, so that none lives for ever.
    requests: int = 1000
    #: Connections from one IP address (behind NAT many people share one), and in all,
    #: below the usual 16 Ki limit of open files with room for two files a visitor.
    per_address: int = 64
    connections: int = 4096


class ConnectionCount:
    """Who holds how many connections; asked at accept, told at close.

    One customer is one address: IPv6 is handed out by /64, and who has 2^64
    addresses would otherwise hold every connection there is.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_address: Counter[str] = Counter()
        self.total = 0

    def admit(self, address: str) -> bool:
        """Count one more connection from `address`, or refuse it."""
        key = address_key(address)
        if (
            self.total >= self._limits.connections
            or self._by_address[key] >= self._limits.per_address
        ):
            return False
        self._by_address[key] += 1
        self.total += 1
        return True

    def held(self, address: str) -> int:
        """Connections from `address` and those counted with it."""
        return self._by_address[address_key(address)]

    def trust(self, address: str) -> None:
        """One admitted connection from `address` is no stranger's: devices behind one
        NAT must not keep each other out. It still counts in the total."""
        self._leave_address(address)

    def leave(self, address: str, *, trusted: bool = False) -> None:
        """One admitted connection from `address` has ended.

        :param trusted: whether `trust` was called for it.
        """
        self.total -= 1
        if not trusted:
            self._leave_address(address)

    def _leave_address(self, address: str) -> None:
        key = address_key(address)
        self._by_address[key] -= 1
        if not self._by_address[key]:
            del self._by_address[key]
