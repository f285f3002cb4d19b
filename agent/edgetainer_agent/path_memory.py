"""What the ways from each network to the server were like, to start from next time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.path_model import PathModel
from edgetainer.tunnel.path_keeper import PathKeeper
from edgetainer_agent.networks import NetworkMemory, network

LASTS = 7 * 86_400.0
"""Seconds for which a network is believed to be as it was."""

BANDWIDTH_MOST = 1.25e9
"""Bytes per second; more is no measurement but a broken file."""

RTT_MOST = 60.0
"""Seconds."""


class PathModels:
    """One model for each network, in a file; the newest are kept.

    :param path: of the file.
    :param wall: the time of day, in seconds since 1970.
    :param here: which network the device is on.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        here: Callable[[], str] = network,
    ) -> None:
        self._wall = wall
        self._memory = NetworkMemory(path, encode=_document, decode=_entry, here=here)

    def recall(self) -> PathModel | None:
        """What is known of the way from the present network."""
        at, model = self._memory.recall() or (-math.inf, None)
        # A clock that was set back makes nothing old; one set forward, everything.
        return model if abs(self._wall() - at) <= LASTS else None

    def rtt_guess(self) -> float:
        """Seconds of a round trip from the present network, 0 if unknown."""
        model = self.recall()
        return 0.0 if model is None else model.min_rtt

    def remember(self, model: PathModel) -> None:
        """Keep what was learned. Where it cannot be written it is learned again."""
        self._memory.remember((self._wall(), model))


def keep_path(reactor: Any, models: PathModels, connection: Http3Connection) -> None:
    """Start a connection from what is known of its path, and keep what it learns."""
    PathKeeper(
        reactor=reactor, connection=connection, recall=models.recall, remember=models.remember
    )


def _document(entry: tuple[float, PathModel]) -> list[float]:
    at, model = entry
    return [round(at), round(model.bandwidth), round(model.min_rtt, 6)]


def _entry(document: Any) -> tuple[float, PathModel]:
    at, bandwidth, min_rtt = document
    # NaN is in no range.
    if not (0 <= at < math.inf and 0 < bandwidth <= BANDWIDTH_MOST and 0 < min_rtt <= RTT_MOST):
        raise ValueError(f"{at}, {bandwidth} and {min_rtt} are no model of a path")
    return float(at), PathModel(float(bandwidth), float(min_rtt))
