from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from edgetainer_agent.durable import (
    make_private_folder,
    remove_durably,
    sweep_temporaries,
    write_atomically,
)


def test_writes_and_replaces(tmp_path: Path) -> None:
    file = tmp_path / "state"
    write_atomically(file, b"one")
    write_atomically(file, b"two" * 100_000)
    assert file.read_bytes() == b"two" * 100_000
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["state"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "kept").write_bytes(b"kept")
    with pytest.raises(IsADirectoryError):
        write_atomically(folder, b"new")
    assert sorted(os.listdir(tmp_path)) == ["state"]


def test_private_folder_is_tightened(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True, mode=0o755)
    make_private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_leftovers_are_swept_and_removal_is_idempotent(tmp_path: Path) -> None:
    (tmp_path / ".tmp-state-1234").write_bytes(b"half")
    (tmp_path / "state").write_bytes(b"whole")
    sweep_temporaries(tmp_path)
    assert os.listdir(tmp_path) == ["state"]
    remove_durably(tmp_path / "state")
    remove_durably(tmp_path / "state")
    assert os.listdir(tmp_path) == []
