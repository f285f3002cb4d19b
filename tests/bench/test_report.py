"""The table, its verdicts and its ratios."""

from __future__ import annotations

from typing import Any

from bench import report
from bench.profiles import PROFILES

CLEAN = PROFILES["clean"].floor
AROUND = {"commit": "0123456789ab", "cores": 2, "kernel": "6.1", "python": "3.11.7"}


def row(stack: str, run: int, goodput: float, p50: float, p95: float) -> dict[str, Any]:
    return {
        "profile": "clean", "stack": stack, "run": run, "goodput_mbit": goodput,
        "goodput60_mbit": None, "t1mb_s": 0.9, "t8mb_s": None, "echo_idle_p50_ms": 81.0,
        "echo_p50_ms": p50, "echo_p95_ms": p95, "echo_p99_ms": p95, "cpu_server": 0.3,
        "cpu_agent": 0.2, "wire_per_byte": 1.05, "wire_back_per_byte": 0.01,
        "command": "python -m bench.tunnel", **AROUND,
    }  # fmt: skip


def figures(goodput: float, p50: float, p95: float) -> dict[str, float | None]:
    return report.medians([row("ours", 1, goodput, p50, p95)])


def test_a_verdict_names_each_floor_that_was_missed() -> None:
    assert report.verdict(CLEAN, figures(18.3, 85, 110)) == "pass"
    assert report.verdict(CLEAN, figures(18.7, 90, 115)) == "pass, aim"
    assert report.verdict(CLEAN, figures(18.1, 85, 110)) == "MISS goodput under 18.20"
    assert report.verdict(CLEAN, figures(9.0, 91, 116)) == (
        "MISS goodput under 18.20, p50 over 90, p95 over 115"
    )
    assert report.verdict(CLEAN, report.medians([{"profile": "clean"}])) == "incomplete"


def test_the_table_has_medians_and_ratios() -> None:
    rows = [
        row("ours", 1, 18.0, 100, 120),
        row("ours", 2, 18.4, 80, 100),
        row("ours", 3, 18.6, 85, 110),
        row("ssh-cubic", 1, 9.2, 850, 1100),
    ]

    lines = report.table(rows).splitlines()

    ours = next(line for line in lines if line.startswith("| clean | ours"))
    assert "| 3 | 18.40 | - | 0.90 | - | 81.0 | 85 | 110 |" in ours
    assert ours.endswith("| pass |")
    assert "| clean | ssh-cubic | 2.0x | - | 10.0x | 10.0x |" in lines
    assert "Commit 0123456789ab; 2 cores, Linux 6.1, Python 3.11.7." in lines
    assert lines[-1] == "python -m bench.tunnel"


def test_without_another_stack_there_are_no_ratios() -> None:
    assert "How many times" not in report.table([row("ours", 1, 18.0, 100, 120)])
