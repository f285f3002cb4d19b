"""Which network the device is on, and how long that lets it be silent.

A network is known by its default gateway and the interface that leads there. Two
homes with the same router look alike; what is remembered of the one is then
corrected on the other, as when a network changes.
"""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from edgetainer.tunnel.keepalive import LEAST, MOST, Bounds
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


class KeepaliveMemory:
    """What was learned of each network, in a file; the newest are kept.

    :param path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    def recall(self) -> Bounds | None:
        """What is known of the present network."""
        return self._known.get(network())

    def remember(self, bounds: Bounds) -> None:
        """Keep what was learned of the present network. Without room it is learned again."""
        here = network()
        if self._known.get(here) == bounds:
            return
        self._known.pop(here, None)
        self._known[here] = bounds
        for oldest in list(self._known)[:-MOST_NETWORKS]:
            del self._known[oldest]
        document = {name: [one.good, one.bad] for name, one in self._known.items()}
        try:
            write_atomically(self._path, json.dumps(document).encode())
        except OSError as error:
            log.warn("What was learned of the network cannot be saved: {why}", why=error)


def _read(path: Path) -> dict[str, Bounds]:
    try:
        document = json.loads(path.read_bytes())
        return {str(name): _bounds(*pair) for name, pair in document.items()}
    except FileNotFoundError:
        return {}
    except (OSError, AttributeError, TypeError, ValueError) as error:
        log.warn("What is known of networks cannot be read: {why}", why=error)
        return {}


def _bounds(good: Any, bad: Any) -> Bounds:
    # NaN is in no range.
    if not LEAST <= good <= MOST or (bad is not None and not LEAST <= bad <= 2 * MOST):
        raise ValueError(f"{good} and {bad} are no bounds")
    return Bounds(float(good), None if bad is None else float(bad))
