from __future__ import annotations

import errno
import json
import time
from pathlib import Path
from typing import Any

import psutil

from edgetainer_agent import metrics


def test_figures_are_of_this_machine() -> None:
    figures = metrics.metrics()
    assert set(figures) == {
        "cpu_percent", "memory_used", "memory_total", "disk_used", "disk_total", "uptime_s",
        "load1",
    }  # fmt: skip
    assert 0 <= figures["cpu_percent"] <= 100
    assert 0 < figures["memory_used"] < figures["memory_total"]
    assert 0 < figures["disk_used"] < figures["disk_total"]
    assert figures["uptime_s"] >= 0
    assert json.loads(json.dumps(figures)) == figures


def test_a_disk_that_fails_costs_only_its_figures(monkeypatch: Any) -> None:
    def fail(_path: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(psutil, "disk_usage", fail)
    figures = metrics.metrics()
    assert (figures["disk_used"], figures["disk_total"]) == (None, None)
    assert figures["memory_total"] > 0


def test_uptime_does_not_follow_the_wall_clock(monkeypatch: Any) -> None:
    before = metrics.metrics()["uptime_s"]
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before <= metrics.metrics()["uptime_s"] < before + 60


def test_facts_are_of_this_machine() -> None:
    facts = metrics.hardware_info()
    assert facts["cpu_count"] >= 1
    assert facts["architecture"]
    assert len(json.dumps(facts)) < 2_000


def test_the_operating_system_names_itself(tmp_path: Path, monkeypatch: Any) -> None:
    release = tmp_path / "os-release"
    monkeypatch.setattr(metrics, "_OS_RELEASE", release)
    release.write_text('NAME=x\nPRETTY_NAME="Flatcar Container Linux 4081.2"\n')
    assert metrics.os_version() == "Flatcar Container Linux 4081.2"
    release.write_text('PRETTY_NAME="unfinished\n')
    assert metrics.os_version().startswith("Linux")
    release.unlink()
    assert metrics.os_version().startswith("Linux")
