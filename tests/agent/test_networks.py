"""Which network this is, and what is remembered of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetainer.tunnel.keepalive import Bounds
from edgetainer_agent import networks
from edgetainer_agent.networks import MOST_NETWORKS, KeepaliveMemory, network

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
# As Linux prints them on a little-endian machine, where the tests run.
ETHERNET = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
MOBILE = "wwan0\t00000000\t0100000A\t0003\t0\t0\t700\t00000000\t0\t0\t0\n"
LOCAL = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
SHUT = "eth1\t00000000\t0101A8C0\t0002\t0\t0\t1\t00000000\t0\t0\t0\n"


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (ETHERNET + MOBILE + LOCAL, "192.168.1.1 eth0"),
        (MOBILE + LOCAL, "10.0.0.1 wwan0"),
        (LOCAL + SHUT, "unknown"),
        ("nonsense\n", "unknown"),
    ],
)
def test_a_network_is_its_best_default_route(tmp_path: Path, table: str, name: str) -> None:
    (tmp_path / "route").write_text(HEAD + table)
    assert network(tmp_path / "route") == name


def test_no_table_is_no_network(tmp_path: Path) -> None:
    assert network(tmp_path / "none") == "unknown"


def test_each_network_has_its_own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = KeepaliveMemory(tmp_path / "keepalive.json")
    assert memory.recall() is None
    for name, bounds in (("home", Bounds(140.0, 155.0)), ("van", Bounds(27.0, None))):
        monkeypatch.setattr(networks, "network", lambda name=name: name)
        memory.remember(bounds)
    again = KeepaliveMemory(tmp_path / "keepalive.json")
    assert again.recall() == Bounds(27.0, None)
    monkeypatch.setattr(networks, "network", lambda: "home")
    assert again.recall() == Bounds(140.0, 155.0)


def test_the_oldest_networks_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = KeepaliveMemory(tmp_path / "keepalive.json")
    for number in range(MOST_NETWORKS + 3):
        monkeypatch.setattr(networks, "network", lambda number=number: str(number))
        memory.remember(Bounds(30.0 + number))
    monkeypatch.setattr(networks, "network", lambda: "2")
    assert memory.recall() is None
    monkeypatch.setattr(networks, "network", lambda: "3")
    assert memory.recall() == Bounds(33.0)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": 1}', '{"a": [1, 2]}', '{"a": [NaN, null]}', '{"a": [25, "x"]}']
)
def test_a_file_that_is_spoiled_is_learned_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "keepalive.json").write_text(text)
    assert KeepaliveMemory(tmp_path / "keepalive.json").recall() is None


def test_a_full_disk_costs_only_the_memory(tmp_path: Path) -> None:
    memory = KeepaliveMemory(tmp_path / "no-such-folder" / "keepalive.json")
    memory.remember(Bounds(50.0))
    assert memory.recall() == Bounds(50.0)
