"""What the bench's processes say, and what they cost."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


def environment() -> dict[str, str]:
    """For our own Python processes: this checkout's code, whatever is installed."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "agent")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


class Reports:
    """The lines of JSON that a process writes, one at a time and with a deadline."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._process = process
        self._fd = process.stdout.fileno()
        self._text = b""

    def next(self, within_s: float) -> dict[str, Any]:
        """The next line.

        :raises TimeoutError: there was none.
        :raises RuntimeError: the process has ended.
        """
        deadline = time.monotonic() + within_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._fd, selectors.EVENT_READ)
            while b"\n" not in self._text:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"{self._process.args!r} said nothing in {within_s:g} s")
                data = os.read(self._fd, 1 << 20)
                if not data:
                    raise RuntimeError(f"{self._process.args!r} has ended")
                self._text += data
        line, _, self._text = self._text.partition(b"\n")
        report: dict[str, Any] = json.loads(line)
        return report

    def until(self, key: str, within_s: float) -> dict[str, Any]:
        """The next line that has this key; others are passed over."""
        deadline = time.monotonic() + within_s
        while True:
            report = self.next(max(0.0, deadline - time.monotonic()))
            if key in report:
                return report


def descendants(pid: int) -> list[int]:
    """A process and all that it and its children started, as far as they live."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return [pid]
    return [pid, *(child.pid for child in children)]


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds of processor time of these processes and their descendants.

    What a child used that has ended meanwhile is counted with its parent.
    """
    total = 0
    for pid in {one for root in pids for one in descendants(root)}:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        total += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return total / _TICKS
