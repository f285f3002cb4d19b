"""What the agent keeps of the ways to its server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetainer.quic.path_model import PathModel
from edgetainer_agent.networks import MOST_NETWORKS
from edgetainer_agent.path_memory import LASTS, PathModels

KNOWN = PathModel(bandwidth=2_500_000.0, min_rtt=0.08)


class World:
    """The time of day and the network, as a test wants them."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.network = "192.0.2.1 eth0"

    def models(self, folder: Path) -> PathModels:
        return PathModels(folder / "paths.json", wall=lambda: self.now, here=lambda: self.network)


def test_each_network_has_its_own_and_it_outlives_the_agent(tmp_path: Path) -> None:
    world = World()
    world.models(tmp_path).remember(KNOWN)
    again = world.models(tmp_path)
    assert again.recall() == KNOWN
    assert again.rtt_guess() == KNOWN.min_rtt
    world.network = "192.0.2.1 wlan0"
    assert again.recall() is None
    assert again.rtt_guess() == 0.0


def test_what_is_a_week_old_is_forgotten(tmp_path: Path) -> None:
    world = World()
    world.models(tmp_path).remember(KNOWN)
    world.now += LASTS - 1
    assert world.models(tmp_path).recall() == KNOWN
    world.now += 2
    assert world.models(tmp_path).recall() is None


def test_only_so_many_networks_are_kept(tmp_path: Path) -> None:
    world = World()
    models = world.models(tmp_path)
    for number in range(MOST_NETWORKS + 3):
        world.network = f"network {number}"
        models.remember(KNOWN)
    kept = json.loads((tmp_path / "paths.json").read_text())
    assert len(kept) == MOST_NETWORKS
    assert "network 2" not in kept


BROKEN = [
    "1", "[1]", "[1800000000, NaN, 0.1]", "[1800000000, 1e12, 0.1]", "[1800000000, 1e6, -1]",
    '[1800000000, "1e6", 0.1]', f"[1{'0' * 400}, 1e6, 0.1]",
]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "[]", *(f'{{"192.0.2.1 eth0": {entry}}}' for entry in BROKEN)]
)
def test_a_broken_file_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "paths.json").write_text(text)
    assert World().models(tmp_path).recall() is None


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "paths.json").write_text('{"192.0.2.1 eth0": [1800000000, 2500000, 0.08]}')
    assert World().models(tmp_path).recall() == KNOWN


def test_a_full_disk_costs_only_the_memory(tmp_path: Path) -> None:
    models = World().models(tmp_path / "no-such-folder")
    models.remember(KNOWN)
    assert models.recall() == KNOWN
