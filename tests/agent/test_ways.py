"""The ways to the server, where its HTTPS port cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from edgetainer.errors import EdgetainerError
from edgetainer_agent.ways import ServerWays


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://localhost:8443", EdgetainerError), (f"https://{'a' * 64}.test", UnicodeError)],
)
def test_a_device_runs_without_its_authority_file_and_says_so_when_it_is_wanted(
    url: str, expected: type[Exception], tmp_path: Path
) -> None:
    missing = tmp_path / "ca.pem" if expected is EdgetainerError else None
    ways = ServerWays(Clock(), server_url=url, ca_file=missing)
    failures: list[Any] = []
    ways.websocket(lambda *received: None, 10.0).addErrback(failures.append)
    [failure] = failures
    assert failure.check(expected)
