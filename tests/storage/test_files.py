from __future__ import annotations

import os
import stat

import pytest

from edgetainer.errors import EdgetainerError
from edgetainer.storage import files


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_written_whole_and_secret(tmp_path):
    path = tmp_path / "keys" / "a"
    files.write(path, b"one")
    files.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert _mode(path) == 0o600
    assert _mode(path.parent) == 0o700
    assert os.listdir(path.parent) == ["a"]


def test_public_files_can_be_read_by_all(tmp_path):
    files.write(tmp_path / "ca.pem", b"x", mode=files.PUBLIC_MODE)
    assert _mode(tmp_path / "ca.pem") == 0o644


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a"
    files.write(path, b"old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_secret_stays_what_it_was(tmp_path):
    first = files.secret(tmp_path / "s")
    assert len(first) == 32
    assert files.secret(tmp_path / "s") == first
    assert files.secret(tmp_path / "t") != first
    assert files.read(tmp_path / "u") is None


@pytest.mark.parametrize("left", [b"", b"x" * 31])
def test_what_is_left_of_a_secret_is_none(tmp_path, left):
    (tmp_path / "s").write_bytes(left)
    with pytest.raises(EdgetainerError, match="restore or delete it") as caught:
        files.secret(tmp_path / "s")
    assert caught.value.code == "config_invalid"
    assert (tmp_path / "s").read_bytes() == left
