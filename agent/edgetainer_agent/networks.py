"""Which network the device is on, and what is remembered of each.

A network is known by its default gateway and the interface that leads there. Two
homes with the same router look alike; what is remembered of the one is then
corrected on the other, as when a network changes.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from twisted.logger import Logger

from edgetainer_agent.durable import write_atomically

log = Logger()

ROUTES = Path("/proc/net/route")
#: The flags of a route that is up and has a gateway (route(8): U, G).
_UP_AND_GATEWAY = 0x3
#: Networks that are remembered: those of a van on its round.
MOST_NETWORKS = 32


def network(routes: Path = ROUTES) -> str:
    """The present network, as "192.0.2.1 eth0"; "unknown" without a default route."""
    found: list[tuple[int, str]] = []
    try:
        lines = routes.read_text().splitlines()[1:]
    except OSError:
        lines = []
    for line in lines:
        fields = line.split()
        if len(fields) < 8 or fields[1] != "00000000" or fields[7] != "00000000":
            continue
        if int(fields[3], 16) & _UP_AND_GATEWAY != _UP_AND_GATEWAY:
            continue
        gateway = socket.inet_ntoa(struct.pack("=I", int(fields[2], 16)))
        found.append((int(fields[6]), f"{gateway} {fields[0]}"))
    return min(found)[1] if found else "unknown"


T = TypeVar("T")


class NetworkMemory(Generic[T]):
    """Something that was learned of each network, in a file; the newest are kept.

    :param path: of the file.
    :param encode: a value as JSON.
    :param decode: a value from JSON; raises `TypeError` or `ValueError` for what is none.
    :param here: which network the device is on.
    """

    def __init__(
        self,
        path: Path,
        *,
        encode: Callable[[T], Any],
        decode: Callable[[Any], T],
        here: Callable[[], str] = network,
    ) -> None:
        self._path = path
        self._encode = encode
        self._here = here
        self._known = self._read(decode)

    def recall(self) -> T | None:
        """What is known of the present network."""
        return self._known.get(self._here())

    def remember(self, value: T) -> None:
        """Keep what was learned of the present network. Without room it is learned again."""
        here = self._here()
        if self._known.get(here) == value:
            return
        self._known.pop(here, None)
        self._known[here] = value
        for oldest in list(self._known)[:-MOST_NETWORKS]:
            del self._known[oldest]
        document = {name: self._encode(one) for name, one in self._known.items()}
        try:
            write_atomically(self._path, json.dumps(document).encode())
        except OSError as error:
            log.warn("What was learned of the network cannot be saved: {why}", why=error)

    def _read(self, decode: Callable[[Any], T]) -> dict[str, T]:
        try:
            document = json.loads(self._path.read_bytes())
            return {str(name): decode(value) for name, value in document.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ArithmeticError, AttributeError, TypeError, ValueError) as error:
            log.warn("{path} cannot be read and is learned anew: {why}",
                     path=str(self._path), why=error)  # fmt: skip
            return {}
