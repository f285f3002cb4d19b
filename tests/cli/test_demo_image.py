"""The demo's image is a whole system: its interpreter runs in it and nothing else is needed."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from edgetainer.cli import demo_image

CHROOT = shutil.which("chroot", path=f"{os.defpath}:/usr/sbin:/sbin") or "chroot"


@pytest.fixture(scope="module")
def file_system() -> bytes:
    return demo_image.root_file_system()


def test_the_same_interpreter_gives_the_same_image(file_system: bytes) -> None:
    assert demo_image.root_file_system() == file_system
    assert demo_image.tag_of(file_system) != demo_image.tag_of(file_system + b"\0")


def test_it_holds_no_more_than_the_page_needs(file_system: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(file_system)) as archive:
        names = {member.name for member in archive}
        assert archive.getmember("tmp").mode == 0o1777
    assert "srv/page.py" in names
    assert any(name.endswith("/http/server.py") for name in names)
    assert not any("site-packages" in name or name.endswith(".pyc") for name in names)
    assert len(file_system) < 64 * 1024 * 1024


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_its_interpreter_runs_with_nothing_from_outside(file_system: bytes, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(file_system)) as archive:
        archive.extractall(tmp_path, filter="tar")
    command = next(
        json.loads(line.removeprefix("CMD "))
        for line in demo_image.configuration()
        if line.startswith("CMD ")
    )
    home = next(
        line.split("PYTHONHOME=")[1].split()[0]
        for line in demo_image.configuration()
        if "PYTHONHOME=" in line
    )
    program = (
        "import runpy; page = runpy.run_path('/srv/page.py'); print(page['page']())\n"
        "server = page['ThreadingHTTPServer'](('127.0.0.1', 0), page['Handler'])\n"
        "server.server_close()"
    )
    finished = subprocess.run(
        [CHROOT, str(tmp_path), command[0], "-S", "-c", program],
        env={"PYTHONHOME": home, "GREETING": "inside"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "<h1>inside</h1>" in finished.stdout, finished.stderr
    looked = subprocess.run(
        [CHROOT, str(tmp_path), "/bin/sh", "-c", "ls /srv && uname -s && echo $((6*7))"],
        env={"PATH": "/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert looked.stdout.split() == ["page.py", "Linux", "42"], looked.stderr
