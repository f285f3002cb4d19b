from __future__ import annotations

from uuid import uuid4

import pytest

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import ExecTarget, FrameType


@pytest.fixture
def path(console):
    return f"/api/devices/{console.world.device()}/command"


def test_a_command_and_its_answer(console, path):
    body = {"argv": ["ls", "-l"], "container": "web", "timeout_s": 5}
    finish = console.send("POST", path, body)
    assert console.channels.target == ExecTarget(argv=("ls", "-l"), container="web", timeout_s=5)
    console.channels.say(FrameType.DATA, "grüße\n".encode())
    console.channels.say(FrameType.STDERR, b"\xff!")
    console.channels.exit(2)
    answer = finish()
    assert answer.status == 200
    assert answer.body == {
        "exit_code": 2,
        "signal": None,
        "stdout": "grüße\n",
        "stderr": "\ufffd!",
        "truncated": False,
        "duration_s": 0,
    }


def test_a_line_for_the_shell_with_the_usual_limit(console, path):
    finish = console.send("POST", path, {"command": "ls | wc"}, who="admin")
    assert console.channels.target == ExecTarget(
        argv=("sh", "-c", "ls | wc"), container=None, timeout_s=30
    )
    console.channels.exit(0)
    assert finish().status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "argv"),
        ({"argv": []}, "argv"),
        ({"argv": ["a"], "command": "a"}, "argv"),
        ({"argv": "ls"}, "argv"),
        ({"argv": [1]}, "argv[0]"),
        ({"command": ""}, "command"),
        ({"command": "ls", "timeout_s": 0}, "timeout_s"),
        ({"command": "ls", "timeout_s": 601}, "timeout_s"),
        ({"command": "ls", "container": "a b"}, "container"),
        ({"command": "ls", "user": "root"}, "user"),
    ],
)
def test_wrong_values_are_named(console, path, body, field):
    answer = console.ask("POST", path, body, who="admin")
    assert answer.status == 400
    assert (answer.body["code"], answer.body["field"]) == ("invalid_field", field)
    assert console.channels.target is None


def test_who_may_what(console, path):
    host, inside = {"command": "id"}, {"command": "id", "container": "web"}
    assert console.ask("POST", path, inside, who="viewer").status == 403
    assert console.ask("POST", path, host, who="viewer").status == 403
    assert console.ask("POST", path, host, who="operator").status == 403
    assert console.ask("POST", path, host, who="nobody").status == 401
    assert console.channels.target is None


def test_a_device_that_is_away_and_one_that_is_none(console, path):
    console.channels.refusal = EdgetainerError("device_offline")
    body = {"command": "id", "container": "web"}
    answer = console.ask("POST", path, body)
    assert (answer.status, answer.body["code"]) == (503, "device_offline")
    assert console.ask("POST", f"/api/devices/{uuid4()}/command", body).status == 404
