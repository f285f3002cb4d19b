"""What the library's README shows and says is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.web.resource import Resource

from tests.authority import shared_authority

LIBRARY = Path(__file__).parents[2] / "edgetainer" / "quic"
README = (LIBRARY / "README.md").read_text(encoding="utf-8")


class Page(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"hello over " + request.clientproto


class Speaker(Protocol):
    def __init__(self) -> None:
        self.heard: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"echo me")

    def dataReceived(self, data: bytes) -> None:
        self.heard.callback(data)


@pytest_twisted.ensureDeferred
async def test_its_example_works() -> None:
    match = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert match is not None
    example: dict[str, Any] = {}
    exec(compile(match[1], "README.md", "exec"), example)
    authority = shared_authority()
    leaf = authority.server("example.com")
    listening = example["serve"](
        Page(), leaf.certificate_pem, leaf.key_pem, interface="127.0.0.1", port=0
    )
    speaker = Speaker()
    connection, response = await example["use"](*listening.address, authority.pem, speaker)
    assert (response.status, response.body) == (200, b"hello over HTTP/3")
    assert await speaker.heard == b"echo me"
    connection.close()
    await listening.close()


def test_it_knows_every_module() -> None:
    named = set(re.findall(r"`(\w+\.py)`", README))
    there = {path.name for path in LIBRARY.glob("*.py")} - {"__init__.py"}
    assert there <= named
    assert named - there <= {"test_contract.py"}
