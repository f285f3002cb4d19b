"""`make run` says what is wrong before it starts anything."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from edgetainer.cli import run
from tests.ports import free_ports


def test_a_port_in_use_is_named_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind((run.INTERFACE, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run.main(["--state", str(tmp_path), "--port", str(port)]) == 1
    said = capsys.readouterr().err
    assert f"TCP port {port}" in said
    assert "PORT=" in said
    assert not (tmp_path / "run.json").exists()


def test_the_tunnels_port_is_looked_at_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((run.INTERFACE, port + 1))
        assert run.main(["--state", str(tmp_path), "--port", str(port)]) == 1
    assert f"UDP port {port + 1}" in capsys.readouterr().err


def test_two_runs_do_not_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run.only_one(tmp_path):
        assert run.main(["--state", str(tmp_path), "--port", str(free_ports())]) == 1
    assert "STATE=" in capsys.readouterr().err


def test_an_old_run_file_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"console_url": "https://old"}))
    with socket.socket() as taken:
        taken.bind((run.INTERFACE, 0))
        taken.listen()
        run.main(["--state", str(tmp_path), "--port", str(taken.getsockname()[1])])
    assert not (tmp_path / "run.json").exists()
