"""How many of the tunnel's branches its own tests take: `make coverage`.

A table of the files, and a failure where one of the two packages is below the least.
What a whole system happens to pass through proves little, so it does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PACKAGES = ("edgetainer/quic", "edgetainer/tunnel")
TESTS = ("tests/quic", "tests/tunnel", "tests/paths", "tests/faults")
LEAST = 90.0  # per cent of a package's branches


def line(name: str, summaries: list[dict[str, Any]]) -> str:
    """One row of the table."""
    statements = share(summaries, "covered_lines", "num_statements")
    return f"{name:45} {statements:7.1f} {branches(summaries):9.1f}"


def branches(summaries: list[dict[str, Any]]) -> float:
    """Per cent of the branches of these files that were taken."""
    return share(summaries, "covered_branches", "num_branches")


def share(summaries: list[dict[str, Any]], part: str, whole: str) -> float:
    total = sum(one[whole] for one in summaries)
    return 100.0 * sum(one[part] for one in summaries) / total if total else 100.0


def table(files: dict[str, dict[str, Any]]) -> int:
    """Print it; 1 if a package is below the least.

    :param files: of coverage's JSON report.
    """
    short = 0
    print(f"\n{'per cent of':45} {'lines':>7} {'branches':>9}")
    for package in PACKAGES:
        own = {name: one["summary"] for name, one in files.items() if name.startswith(package)}
        for name in sorted(own):
            print(line(name, [own[name]]))
        print(line(package, list(own.values())))
        if not own or branches(list(own.values())) < LEAST:
            print(f"{package}: fewer than {LEAST:g} % of the branches are taken", file=sys.stderr)
            short = 1
    return short


def main(arguments: list[str]) -> int:
    """Measure; pytest's arguments may be added."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"),
            *("-m", "not whole_machine", "--cov-branch", f"--cov-report=json:{report}"),
            *(f"--cov={package.replace('/', '.')}" for package in PACKAGES),
            *TESTS,
            *arguments,
        ]
        environment = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "data")}
        code = subprocess.run(command, check=False, env=environment).returncode
        return code or table(json.loads(report.read_text())["files"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
