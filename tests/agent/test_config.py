from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from edgetainer.errors import EdgetainerError
from edgetainer_agent.config import Settings, load

WHOLE = {"state_dir": "state", "server_url": "https://console.example.com:8443/"}


def test_yaml_and_json_mean_the_same(tmp_path: Path) -> None:
    yaml_file, json_file = tmp_path / "a.yaml", tmp_path / "a.json"
    yaml_file.write_text("state_dir: state\nserver_url: https://console.example.com:8443\n")
    json_file.write_text(json.dumps(WHOLE))
    settings = load(yaml_file, {})
    assert settings == load(json_file, {})
    assert settings.server_url == "https://console.example.com:8443"
    # Relative to the file, not to where the agent was started.
    assert settings.state_dir == tmp_path / "state"


def test_environment_wins_and_empty_means_not_set(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({**WHOLE, "name": "file", "heartbeat_s": 5}))
    settings = load(
        file,
        {
            "EDGETAINER_AGENT_NAME": "environment",
            "EDGETAINER_AGENT_HEARTBEAT_S": "",
            "EDGETAINER_AGENT_TOKEN": "s3cret",
            "HOME": "/root",
        },
    )
    assert settings.name == "environment"
    assert settings.heartbeat_s is None
    assert settings.token == "s3cret"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"state_dir": None}, "state_dir"),
        ({"server_url": None}, "server_url"),
        ({"server_url": "http://console.example.com"}, "server_url"),
        ({"server_url": "https://user@console.example.com"}, "server_url"),
        ({"server_url": "https://console.example.com:99999"}, "server_url"),
        ({"server_url": "https://console.example.com/path"}, "server_url"),
        ({"server_url": 7}, "server_url"),
        ({"heartbeat_s": "soon"}, "heartbeat_s"),
        ({"link_profile": "cheap"}, "link_profile"),
        ({"link_profile": 3}, "link_profile"),
        ({"heartbeat_s": 0}, "heartbeat_s"),
        ({"heartbeat_s": True}, "heartbeat_s"),
        ({"log_level": "loud"}, "log_level"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_errors_name_the_field(tmp_path: Path, change: dict[str, object], field: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({**WHOLE, **change}))
    with pytest.raises(EdgetainerError) as caught:
        load(file, {})
    assert caught.value.code == "config_invalid"
    assert caught.value.field == field
    assert field in caught.value.detail


@pytest.mark.parametrize("content", [b"a: [", b"- 1", b"\x80\x81", b"x" * 70_000])
def test_unreadable_files_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    with pytest.raises(EdgetainerError) as caught:
        load(file, {})
    assert caught.value.field == "config"


def test_a_number_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"{json.dumps(WHOLE)[:-1]}, compose_wait_s: .inf}}")
    with pytest.raises(EdgetainerError, match="compose_wait_s: it must be a number"):
        load(file, {})


def test_unknown_variables_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgetainerError, match="EDGETAINER_AGENT_COLOUR"):
        load(None, {"EDGETAINER_AGENT_COLOUR": "red"})
    with pytest.raises(EdgetainerError, match="cannot read"):
        load(tmp_path / "missing.yaml", {})


def test_every_setting_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "agent.md").read_text()
    for setting in fields(Settings):
        assert f"| `{setting.name}` |" in text
