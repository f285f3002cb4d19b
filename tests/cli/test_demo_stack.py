"""What the demo says where the machine's Docker Engine cannot be used."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edgetainer.cli import demo_stack

NOBODY = 65534


def test_an_absent_engine_is_told_from_a_forbidden_one(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with pytest.raises(demo_stack.NoDocker, match=r"(?s)no Docker Engine answers at .*Install"):
        demo_stack.Engine(path)
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        engine.listen()
        path.chmod(0)
        user = os.geteuid()
        # Root may use any socket.
        if user == 0:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(demo_stack.NoDocker, match=r"(?s)you may not use .*Join the group"):
                demo_stack.Engine(path)
        finally:
            os.seteuid(user)
