"""The recovery benchmark: its table, its command line, and one event on a real link."""

from __future__ import annotations

from typing import Any

import pytest

from bench import namespaces, recovery


def row(event: str, stack: str, run: int, back_s: float | None) -> dict[str, Any]:
    return {"event": event, "stack": stack, "run": run, "back_s": back_s, "limit_s": 240.0}


def test_the_table_has_every_run_beside_the_aim() -> None:
    rows = [
        row("outage-10", "ours", 1, 0.2),
        row("outage-10", "ours", 2, 0.3),
        row("outage-10", "ssh-cubic", 1, 9.8),
        row("address", "ours", 1, 0.3),
        row("address", "ours", 2, None),
        row("address", "ssh-cubic", 1, None),
        row("restart", "ours", 1, 2.1),
    ]

    lines = recovery.table(rows).splitlines()

    assert lines[2:] == [
        "| outage-10 | 0.5 | 0.20 / 0.30 | 9.80 | - | pass |",
        # One run that never came back is a miss, whatever the others did.
        "| address | 0.5 | 0.30 / >240 | >240 | - | MISS |",
        "| restart | 2.0 | 2.10 | - | - | MISS |",
    ]


def test_a_transfer_is_whole_or_broken() -> None:
    whole = {"event": "rebind", "stack": "ours", "run": 1, "complete": True, "bytes": 40_000_000,
             "longest_gap_s": 0.41}  # fmt: skip
    broken = {**whole, "stack": "ssh-bbr", "complete": False, "bytes": 2_345_678}

    assert recovery.table([whole, broken]).splitlines()[2:] == [
        "| rebind | whole | whole, longest gap 0.41 | - | broken at 2.3 MB | pass |"
    ]


def test_slow_events_are_left_out_unless_they_are_wanted() -> None:
    assert "outage-600" not in recovery.parse([]).events
    assert "outage-600" in recovery.parse(["--long"]).events
    assert recovery.parse(["--events", "outage-600"]).events == ["outage-600"]
    assert "rebind" in recovery.parse([]).events


@pytest.mark.whole_machine
@pytest.mark.skipif(namespaces.missing() is not None, reason=str(namespaces.missing()))
def test_a_device_that_moves_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "AFTER_S", 0.2)

    found = recovery.measure("address", "ours", seed=1)

    assert found["back_s"] is not None
    assert found["terminals"] == 1
    assert found["wrong"] == 0
