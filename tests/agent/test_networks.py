"""Which network this is."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetainer_agent.networks import network

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
