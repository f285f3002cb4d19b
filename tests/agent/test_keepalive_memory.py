"""What is remembered of networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetainer.tunnel.keepalive import Bounds
from edgetainer_agent.keepalive_memory import keepalive_memory
from edgetainer_agent.networks import MOST_NETWORKS, NetworkMemory


class Device:
    """A device that moves between networks."""

    def __init__(self, folder: Path) -> None:
        self.network = "home"
        self._folder = folder

    def memory(self) -> NetworkMemory[Bounds]:
        return keepalive_memory(self._folder / "keepalive.json", here=lambda: self.network)


def test_each_network_has_its_own_memory(tmp_path: Path) -> None:
    device = Device(tmp_path)
    memory = device.memory()
    assert memory.recall() is None
    memory.remember(Bounds(140.0, 155.0))
    device.network = "van"
    memory.remember(Bounds(27.0, None))
    again = device.memory()
    assert again.recall() == Bounds(27.0, None)
    device.network = "home"
    assert again.recall() == Bounds(140.0, 155.0)


def test_the_oldest_networks_are_forgotten(tmp_path: Path) -> None:
    device = Device(tmp_path)
    memory = device.memory()
    for number in range(MOST_NETWORKS + 3):
        device.network = str(number)
        memory.remember(Bounds(30.0 + number))
    device.network = "2"
    assert memory.recall() is None
    device.network = "3"
    assert memory.recall() == Bounds(33.0)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"home": 1}', '{"home": [1, 2]}', '{"home": [NaN, null]}', '{"home": [25, "x"]}',
     '{"home": [25]}'],
)  # fmt: skip
def test_a_file_that_is_spoiled_is_learned_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "keepalive.json").write_text(text)
    assert Device(tmp_path).memory().recall() is None


def test_a_full_disk_costs_only_the_memory(tmp_path: Path) -> None:
    memory = Device(tmp_path / "no-such-folder").memory()
    memory.remember(Bounds(50.0))
    assert memory.recall() == Bounds(50.0)
