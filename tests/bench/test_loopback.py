"""The loopback benchmark measures the real thing; how fast that is says no test."""

from __future__ import annotations

import json
from pathlib import Path

from bench.loopback import main, medians


def test_the_whole_of_it_in_small(tmp_path: Path) -> None:
    output = tmp_path / "loopback.json"
    small = ["--seconds", "0.3", "--warm-up", "0.1", "--runs", "1", "--idle", "20"]
    main([*small, "--no-tcp", "--sessions", "2", "--output", str(output)])
    channel, sessions = json.loads(output.read_text())
    assert channel["what"] == "one channel"
    assert channel["idle_channels"] == 20
    assert channel["mb_per_s"] > 0
    assert channel["packets_per_s"] > 0
    assert 0 < channel["bytes_per_packet"] < 65_536
    assert channel["us_per_packet_server"] > 0
    assert channel["us_per_packet_agent"] > 0
    assert sessions["what"] == "idle sessions"
    assert sessions["sessions"] == 2
    assert sessions["kb_per_session"] > 0


def test_each_figure_has_its_own_median() -> None:
    runs = [{"a": 1.0, "b": 9.0}, {"a": 2.0, "b": 7.0}, {"a": 3.0, "b": 8.0}]
    assert medians(runs) == {"a": 2.0, "b": 8.0}
