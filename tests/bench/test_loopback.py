"""The loopback benchmark measures the real thing; how fast that is says no test."""

from __future__ import annotations

from bench.loopback import idle_sessions, medians, one_channel


def test_bytes_flow_beside_idle_channels() -> None:
    run = one_channel(idle=20, seconds=0.3, warm_up=0.1)
    assert run["idle_channels"] == 20
    assert run["mb_per_s"] > 0
    assert run["packets_per_s"] > 0
    assert 0 < run["bytes_per_packet"] < 65_536
    assert run["us_per_packet_server"] > 0
    assert run["us_per_packet_agent"] > 0


def test_idle_sessions_are_counted_and_weighed() -> None:
    weighed = idle_sessions(3, settle=0.1)
    assert weighed["sessions"] == 3
    assert weighed["kb_per_session"] > 0


def test_each_figure_has_its_own_median() -> None:
    runs = [{"a": 1.0, "b": 9.0}, {"a": 2.0, "b": 7.0}, {"a": 3.0, "b": 8.0}]
    assert medians(runs) == {"a": 2.0, "b": 8.0}
