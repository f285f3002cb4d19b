"""A child process is logged, is stopped, says how it ended, and dies with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgetainer.cli import children
from edgetainer.cli.children import Child


def until(condition, within_s: float = 20.0) -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def python(program: str) -> list[str]:
    return [sys.executable, "-u", "-c", program]


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    child = Child("it", python("print('a'); print('b'); exit(3)"), log=tmp_path / "logs" / "it")
    until(lambda: child.ended)
    assert child.ended == "exit 3"
    assert child.last_lines(1) == "b"


def test_stop_lets_it_end_by_itself(tmp_path: Path) -> None:
    program = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('tidy'), exit(0)))\n"
        "print('ready'); time.sleep(60)"
    )
    child = Child("it", python(program), log=tmp_path / "it")
    until(lambda: "ready" in child.last_lines())
    child.stop()
    assert child.ended == "exit 0"
    assert "tidy" in child.last_lines()
    child.stop()  # a second time is nothing


def test_stop_ends_what_does_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STOP_WITHIN_S", 0.2)
    program = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
    )
    child = Child("it", python(program), log=tmp_path / "it")
    until(lambda: "ready" in child.last_lines())
    child.stop()
    assert child.ended == "signal SIGKILL"


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        python(
            "import sys, time; from pathlib import Path\n"
            "from edgetainer.cli.children import Child\n"
            f"child = Child('it', ['sleep', '60'], log=Path({str(tmp_path / 'it')!r}))\n"
            "print(child.pid); time.sleep(60)"
        ),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    def gone() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        except FileNotFoundError:
            return True
        return state == "Z"  # ended; nobody has asked for its status yet

    until(gone)
