"""Settings come from file, environment and command line, and say where a bad one came from."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from edgetainer.config import OPTIONS, Settings, load
from edgetainer.errors import EdgetainerError


def test_defaults_follow_from_each_other(tmp_path: Path) -> None:
    settings = load(command_line={"state-dir": str(tmp_path), "https-port": "9000"}, environment={})
    assert settings.database_url == f"sqlite:///{tmp_path}/edgetainer.sqlite"
    assert settings.tunnel_port == 9001
    assert settings.tunnel_addresses == ("localhost:9001",)
    assert settings.console_url == "https://localhost:9000"
    assert settings.tls_certificate is None


@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump])
def test_file_yields_to_environment_and_that_to_command_line(tmp_path: Path, dump) -> None:
    file = tmp_path / "edgetainer.conf"
    file.write_text(
        dump({"https_port": 1001, "heartbeat_s": 5, "tunnel_addresses": ["a.example:1", "[::1]:2"]})
    )
    settings = load(
        command_line={"https-port": "1003"},
        environment={
            "EDGETAINER_HTTPS_PORT": "1002",
            "EDGETAINER_LOG_LEVEL": "debug",
            "EDGETAINER_WINDOW_BUDGET_MIB": "0",
        },
        file=file,
    )
    assert settings.https_port == 1003
    assert settings.heartbeat_s == 5
    assert settings.log_level == "debug"
    assert settings.window_budget_mib == 0
    assert settings.tunnel_addresses == ("a.example:1", "[::1]:2")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state-dir", ""),
        ("database-url", "mysql://x"),
        ("interface", "eth0"),
        ("https-port", "0"),
        ("https-port", "65536"),
        ("https-port", "8443x"),
        ("tunnel-addresses", "nowhere"),
        ("tunnel-addresses", "host:0"),
        ("tunnel-addresses", "a b:1"),
        ("console-host", "a_b"),
        ("console-host", "x.apps.edgetainer.localhost"),
        ("apps-domain", "-x"),
        ("tls-certificate", "/nowhere/at/all.pem"),
        ("tls-private-key", "/nowhere/at/all.pem"),
        ("web-dir", "/nowhere/at/all"),
        ("heartbeat-s", "0"),
        ("window-budget-mib", "-1"),
        ("silence-limit-s", "11"),
        ("silence-limit-s", "nan"),
        ("silence-limit-s", "soon"),
        ("log-level", "loud"),
    ],
)
def test_an_unusable_value_names_its_option(name: str, value: str) -> None:
    with pytest.raises(EdgetainerError) as caught:
        load(command_line={name: value}, environment={})
    assert caught.value.code == "config_invalid"
    assert caught.value.field is not None
    assert caught.value.field.replace("_", "-").startswith(name.split("-")[0])


def test_a_refusal_tells_where_the_value_came_from(tmp_path: Path) -> None:
    with pytest.raises(EdgetainerError, match="EDGETAINER_HTTPS_PORT"):
        load(command_line={}, environment={"EDGETAINER_HTTPS_PORT": "no"})
    with pytest.raises(EdgetainerError, match="from --https-port"):
        load(command_line={"https-port": "no"}, environment={})
    file = tmp_path / "file.yaml"
    file.write_text("https_port: [1]")
    with pytest.raises(EdgetainerError, match=r"file\.yaml"):
        load(command_line={}, environment={}, file=file)


@pytest.mark.parametrize("text", ["- a list", "{unclosed", "htps_port: 1", "\0"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text)
    with pytest.raises(EdgetainerError) as caught:
        load(command_line={}, environment={}, file=file)
    assert caught.value.code == "config_invalid"


def test_a_missing_file_is_refused_and_an_empty_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(EdgetainerError, match="cannot read"):
        load(command_line={}, environment={}, file=tmp_path / "none")
    empty = tmp_path / "empty"
    empty.write_text("")
    assert load(command_line={}, environment={}, file=empty).https_port == 8443


def test_certificate_and_key_come_together(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("x")
    with pytest.raises(EdgetainerError) as caught:
        load(command_line={"tls-certificate": str(tmp_path / "c.pem")}, environment={})
    assert caught.value.field == "tls_private_key"


def test_every_option_is_documented() -> None:
    assert [option.name for option in OPTIONS] == [item.name for item in fields(Settings)]
    assert all(option.text.endswith(".") and option.shown_default for option in OPTIONS)


def test_a_password_in_a_value_that_is_refused_is_not_repeated() -> None:
    with pytest.raises(EdgetainerError, match="database_url: the value") as refused:
        load(command_line={"database-url": "postgres://me:hunter2@db/name"}, environment={})
    assert "hunter2" not in str(refused.value)
