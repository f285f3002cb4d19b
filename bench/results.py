"""The results' file: a list of objects, one a run, written anew after each run."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.processes import ROOT

FOLDER = Path(__file__).with_name("results")
Row = dict[str, Any]


def load(path: Path) -> list[Row]:
    """What the file holds; nothing where there is none."""
    if not path.exists():
        return []
    rows: list[Row] = json.loads(path.read_text())
    return rows


def save(path: Path, rows: list[Row]) -> None:
    """Write them, a line each, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(text)
    os.replace(fresh, path)


def same(row: Row, key: Row) -> bool:
    """Whether a row is the one that these fields name."""
    return all(row.get(name) == value for name, value in key.items())


def put(rows: list[Row], row: Row, key: Row) -> list[Row]:
    """The rows with this one in its predecessor's stead, or at the end."""
    fresh = [row if same(one, key) else one for one in rows]
    return fresh if row in fresh else [*fresh, row]


def without(rows: Iterable[Row], key: Row) -> list[Row]:
    """The rows less this one: what was measured before is no answer any more."""
    return [row for row in rows if not same(row, key)]


def missing(rows: Iterable[Row], wanted: Iterable[Row]) -> list[Row]:
    """Which of the wanted keys have no row yet."""
    have = list(rows)
    return [key for key in wanted if not any(same(row, key) for row in have)]


def rounded(row: Row) -> Row:
    """With four significant digits: more would be noise."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in row.items()
    }


def circumstances(module: str, arguments: Sequence[str]) -> Row:
    """What was run, of which commit, on what kind of machine; no names, no paths."""
    said = list(arguments)
    if "--output" in said:
        where = said.index("--output")
        del said[where : where + 2]
    return {
        "commit": _commit(),
        "command": shlex.join(["python", "-m", module, *said]),
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return ""  # no git here: an unpacked archive
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    # What was written down by the bench itself does not make it another program.
    changed = git("status", "--porcelain", "--", "edgetainer", "agent", "bench/*.py", "bench/*.c")
    return f"{commit}+changes" if changed else commit
