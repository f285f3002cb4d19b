"""Runs the tests; `tox -e tests` hands over what the person named: `python -m tests.run [...]`.

Twice, because whole systems want the machine for themselves. Of some named tests one
of the two runs often has none, which is no failure as long as the other has some.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import pytest

# What talks to itself in memory or on its own ports runs beside others ...
BESIDE = ("-n", "2", "--dist", "loadfile", "-m", "not whole_machine")
# ... what starts whole systems with Docker and a browser runs alone.
ALONE = ("-m", "whole_machine")


def verdict(codes: Iterable[int]) -> int:
    """One exit code for several runs: the first failure, 5 only where no run had a test."""
    done = [code for code in codes if code != pytest.ExitCode.NO_TESTS_COLLECTED]
    if not done:
        return pytest.ExitCode.NO_TESTS_COLLECTED
    return next((code for code in done if code), 0)


def main(arguments: list[str]) -> int:
    """Run the tests that pytest's arguments name, all where there are none."""
    codes = []
    for half in (BESIDE, ALONE):
        command = [sys.executable, "-m", "pytest", *half, *arguments]
        codes.append(subprocess.run(command, check=False).returncode)
        if codes[-1] not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            break
    return verdict(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
