"""The tunnel's benchmark: its command line, and a short form of the whole."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bench import namespaces, results, tunnel
from bench.profiles import PROFILES
from bench.stacks import STACKS


def test_nothing_named_is_everything() -> None:
    options = tunnel.parse([])
    assert options.profiles == list(PROFILES)
    assert options.stacks == list(STACKS)
    assert len(tunnel.wanted(options)) == len(PROFILES) * len(STACKS) * 3


def test_names_are_separated_by_commas_or_spaces() -> None:
    options = tunnel.parse(["--profiles", "clean, geo", "--stacks", "ours ssh-bbr", "--runs", "2"])
    assert tunnel.wanted(options)[:4] == [
        {"profile": "clean", "stack": "ours", "run": 1},
        {"profile": "clean", "stack": "ssh-bbr", "run": 1},
        {"profile": "clean", "stack": "ours", "run": 2},
        {"profile": "clean", "stack": "ssh-bbr", "run": 2},
    ]
    with pytest.raises(argparse.ArgumentTypeError, match="'moon' is none of lan"):
        tunnel.names("moon", list(PROFILES))


@pytest.mark.whole_machine
@pytest.mark.skipif(namespaces.missing() is not None, reason=str(namespaces.missing()))
def test_measures_ours_and_ssh_over_a_real_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "tunnel.json"
    arguments = ["--profiles", "clean", "--stacks", "ours,ssh-cubic", "--runs", "1",
                 "--seconds", "1", "--idle", "0.5", "--output", str(output)]  # fmt: skip

    assert tunnel.main(arguments) == 0, capsys.readouterr().err

    rows = results.load(output)
    assert [row["stack"] for row in rows] == ["ours", "ssh-cubic"]
    for row in rows:
        assert row["goodput_mbit"] > 0
        assert row["echo_idle_p50_ms"] >= 80
        assert row["echo_p50_ms"] >= 80
        assert row["wire_per_byte"] > 1
        assert row["reconnects"] == 0
        assert row["t8mb_s"] is None  # 20 Mbit/s carry 2.5 MB in this time
    assert "| clean | ssh-cubic |" in capsys.readouterr().out

    assert tunnel.main([*arguments, "--resume"]) == 0
    assert results.load(output) == rows
