"""What is known of a path: the two numbers that a model of it needs, and their memory."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class PathModel:
    """A path as a sender sees it (Cardwell et al., "BBR", ACM Queue 14 (5), 2016).

    :param bandwidth: bytes per second that the bottleneck delivers.
    :param min_rtt: seconds there and back when no queue stands.
    """

    bandwidth: float
    min_rtt: float

    @property
    def bdp(self) -> float:
        """Bytes in flight that fill the path and no queue."""
        return self.bandwidth * self.min_rtt


class PathMemory(Generic[Key]):
    """Models of paths that were used lately, to start from the next time.

    A start from memory is careful (`congestion.ModelBased.start_from`), so a wrong
    entry costs little, and a missing one a few round trips.

    :param entries: how many are kept; the oldest go.
    :param lasts: seconds for which one is believed: networks change with their users.
    """

    def __init__(self, *, entries: int = 4096, lasts: float = 86_400.0) -> None:
        self._entries = entries
        self._lasts = lasts
        self._known: OrderedDict[Key, tuple[float, PathModel]] = OrderedDict()

    def recall(self, key: Key, now: float) -> PathModel | None:
        """What was learned of this path, if it was not long ago."""
        at, model = self._known.get(key, (-math.inf, None))
        return model if now - at <= self._lasts else None

    def remember(self, key: Key, model: PathModel, now: float) -> None:
        """Keep what was learned of a path."""
        self._known.pop(key, None)
        self._known[key] = (now, model)
        while len(self._known) > self._entries:
            self._known.popitem(last=False)


def network_of(host: str) -> str:
    """The network that an address belongs to: a /24, or a /48 of IPv6.

    Addresses of one are most often behind one access link. What is no address is a
    network of its own.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = 24 if isinstance(address, ipaddress.IPv4Address) else 48
    return str(ipaddress.ip_network((address, bits), strict=False))
