from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.limits import MAX_HEADER
from edgetainer.tunnel.targets import (
    ExecTarget,
    Target,
    TcpTarget,
    TerminalTarget,
    encode_open,
    parse_open,
)
from edgetainer.tunnel.wire import dump_object

from .strategies import targets


@given(targets)
def test_targets_round_trip(target: Target) -> None:
    message = encode_open(target)
    assert int.from_bytes(message[:4], "big") == len(message) - 4
    assert parse_open(message[4:]) == target


def test_the_header_is_what_the_protocol_says() -> None:
    assert encode_open(TcpTarget("web", 80))[4:] == (
        b'{"v":1,"purpose":"tcp","service":"web","port":80}'
    )


def test_defaults_and_fields_from_the_future() -> None:
    body = b'{"v":1,"purpose":"terminal","columns":80,"rows":24,"resume":"x","priority":7}'
    assert parse_open(body) == TerminalTarget(container=None, columns=80, rows=24)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 2}, "channel_refused"),
        ({"v": None}, "invalid_field"),
        ({"v": True}, "invalid_field"),
        ({"purpose": "teleport"}, "channel_refused"),
        ({"purpose": 5}, "invalid_field"),
        ({"service": ""}, "invalid_field"),
        ({"service": "../etc"}, "invalid_field"),
        ({"service": "-rm"}, "invalid_field"),
        ({"service": ["web"]}, "invalid_field"),
        ({"port": 0}, "invalid_field"),
        ({"port": 65_536}, "invalid_field"),
        ({"port": 80.0}, "invalid_field"),
        ({"port": "80"}, "invalid_field"),
    ],
)
def test_wrong_headers_are_refused(changes: dict[str, Any], code: str) -> None:
    fields = {"v": 1, "purpose": "tcp", "service": "web", "port": 80, **changes}
    with pytest.raises(EdgetainerError) as caught:
        parse_open(dump_object(fields))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": []},
        {"argv": "ls"},
        {"argv": [1]},
        {"argv": ["a\0b"]},
        {"argv": ["x"] * 1_025},
        {"container": "a b"},
        {"container": 7},
        {"timeout_s": 0},
        {"timeout_s": 1e9},
        {"timeout_s": None},
    ],
)
def test_wrong_commands_are_refused(changes: dict[str, Any]) -> None:
    fields = {
        "v": 1, "purpose": "exec", "argv": ["ls"], "container": None, "timeout_s": 5, **changes,
    }  # fmt: skip
    with pytest.raises(EdgetainerError):
        parse_open(dump_object(fields))


def test_our_own_mistakes_are_refused_before_they_travel() -> None:
    with pytest.raises(EdgetainerError) as caught:
        TerminalTarget(container=None, columns=0, rows=24)
    assert caught.value.field == "columns"
    with pytest.raises(EdgetainerError) as caught:
        encode_open(ExecTarget(("é" * (MAX_HEADER // 4),), None, 5.0))
    assert caught.value.code == "invalid_field"
