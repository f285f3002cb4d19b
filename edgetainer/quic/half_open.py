"""Handshakes that are under way: how many, whose, and for how long.

Until its handshake is done a client has proved no more than that it receives at its
address. What it may cost until then is bounded here: a few handshakes for each host,
a few hundred of all, five seconds for each, and none while the reactor is late.
"""

from __future__ import annotations

import ipaddress
from collections import Counter

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from edgetainer.quic.carriers import Address
from edgetainer.quic.driver import Driver
from edgetainer.quic.lateness import Lateness

HANDSHAKE_TIMEOUT_S = 5.0
"""Seconds from the client's first valid packet to the end of the handshake."""

MAX_HALF_OPEN = 256
"""Handshakes under way at once; each costs 90 KiB and a millisecond."""

MAX_HALF_OPEN_PER_HOST = 32
"""Of these, how many one host may hold: it must not lock out the others. Devices
behind one carrier's NAT share an address and take turns: on a server that is so busy
that a handshake takes 100 ms, 32 are still done within the deadline, where more would
all miss it, and be begun again for ever."""

TELL_EVERY_S = 60.0
"""Seconds between two lines in the log about handshakes that were turned away:
whoever floods the port must not fill the disk too."""


class HalfOpen:
    """The connections of one server whose handshake is under way.

    :param reactor: its clock.

    :ivar hosts: how many of them each host holds.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._connections: dict[Driver, tuple[str, IDelayedCall]] = {}
        self.hosts: Counter[str] = Counter()
        self.lateness = Lateness(reactor, lambda: bool(self._connections))
        self._dropped = 0
        self._telling: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def __contains__(self, driver: Driver) -> bool:
        return driver in self._connections

    def admits(self, address: Address) -> bool:
        """Whether a client at this address may begin; if not, it is counted and logged."""
        host = host_of(address)
        if (
            self.lateness.late
            or len(self._connections) >= MAX_HALF_OPEN
            or self.hosts[host] >= MAX_HALF_OPEN_PER_HOST
        ):
            self._turned_away(host)
            return False
        return True

    def begun(self, driver: Driver, address: Address) -> None:
        """A client that was admitted begins: from now on its time runs."""
        host = host_of(address)
        deadline = self._reactor.callLater(HANDSHAKE_TIMEOUT_S, driver.abandon)
        self._connections[driver] = (host, deadline)
        self.hosts[host] += 1
        self.lateness.watch()

    def done(self, driver: Driver) -> None:
        """Its handshake is complete, or it is gone; nothing if that was known."""
        entry = self._connections.pop(driver, None)
        if entry is None:
            return
        host, deadline = entry
        if deadline.active():
            deadline.cancel()
        self.hosts[host] -= 1
        if not self.hosts[host]:
            del self.hosts[host]

    def stop(self) -> None:
        """Nobody begins any more: measure and tell nothing more."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self.lateness.stop()

    def _turned_away(self, host: str) -> None:
        self._dropped += 1
        if self._telling is None:
            self._log.warn("handshake from {host} dropped: too much is under way", host=host)
            self._telling = self._reactor.callLater(TELL_EVERY_S, self._tell_dropped)

    def _tell_dropped(self) -> None:
        self._telling = None
        dropped, self._dropped = self._dropped, 0
        if dropped > 1:
            self._log.warn("{count} handshakes dropped in the last minute", count=dropped)


def host_of(address: Address) -> str:
    """Whose address this is, for counting: an IPv4 address, or an IPv6 network.

    One subscriber has a whole /64 (RFC 6177), so that its addresses are no more
    than one host's ports. An address that cannot be read is a host of its own.
    """
    try:
        host = ipaddress.ip_address(address[0])
    except ValueError:
        return address[0]
    if isinstance(host, ipaddress.IPv4Address):
        return str(host)
    if host.ipv4_mapped is not None:
        return str(host.ipv4_mapped)
    return str(ipaddress.ip_network((host.packed[:8] + bytes(8), 64)))
