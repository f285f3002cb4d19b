"""Another implementation's client, ngtcp2's, against our HTTP/3 server on a real socket.

Debian's package `ngtcp2-client` has it; `.ci/with-real-parts` installs it. The site is
twisted.web's own, and no certificate is asked for.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File

from edgetainer.quic.endpoint import Listening, ServerTls, listen
from tests.network import SERVER_NAME, Network

reactor: Any = global_reactor
pytestmark = pytest.mark.whole_machine
SIZES = {"one": 1, "megabyte": 1_000_000, "large": 20_000_000}


def program() -> str:
    """The client; skips, or fails where `CI` is set, without it."""
    found = shutil.which("gtlsclient")
    if found is None:
        message = "gtlsclient (Debian's ngtcp2-client) is missing"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


class Post(Resource):
    """Tells how a request came."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        request.setHeader(b"x-method", request.method)
        request.setHeader(b"x-host", request.getHeader(b"host"))
        return bytes(request.content.read())


class Served:
    """A site with files of several sizes, and what came to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        chance = random.Random(7)
        self.content = {name: chance.randbytes(size) for name, size in SIZES.items()}
        root = folder / "site"
        root.mkdir()
        for name, content in self.content.items():
            (root / name).write_bytes(content)
        site = File(str(root))
        site.putChild(b"post", Post())
        leaf = Network().authority.server(SERVER_NAME)
        self.connections: list[Any] = []
        self.listening: Listening = listen(
            reactor,
            interface="127.0.0.1",
            port=0,
            tls=ServerTls(leaf.certificate_pem, leaf.key_pem),
            on_connection=self.connections.append,
            site=Site(site),
        )

    async def fetch(self, *arguments: str, uris: tuple[str, ...]) -> str:
        """Run the client; what it says of packets and headers, on success."""
        downloads = self.folder / "downloads"
        downloads.mkdir(exist_ok=True)
        port = self.listening.address[1]
        running = getProcessOutputAndValue(
            program(),
            [
                *("--exit-on-all-streams-close", "--no-quic-dump", "--no-http-dump"),
                *("--timeout=20s", f"--download={downloads}", *arguments),
                *("127.0.0.1", str(port)),
                *(f"https://{SERVER_NAME}:{port}/{uri}" for uri in uris),
            ],
            env=os.environ,
        )
        # Its own idle time-out ends it long before: nothing is left running.
        out, err, code = await running
        said = re.sub(r"\x1b\[[0-9;]*m", "", (out + err).decode("utf-8", "replace"))
        assert code == 0, said[-4000:]
        return said

    def downloaded(self, name: str) -> bytes:
        return (self.folder / "downloads" / name).read_bytes()


@pytest_twisted.async_yield_fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    running = Served(tmp_path)
    yield running
    await running.listening.close()


@pytest.mark.parametrize("name", SIZES)
@pytest_twisted.ensureDeferred
async def test_files_arrive_whole(served: Served, name: str) -> None:
    said = await served.fetch(uris=(name,))
    assert served.downloaded(name) == served.content[name]
    assert "[:status: 200]" in said
    assert f"[content-length: {SIZES[name]}]" in said
    assert re.search(r"\bRetry\b", said), "the first packet was answered with Retry"
    assert served.connections[0].identity is None


@pytest_twisted.ensureDeferred
async def test_several_streams_of_one_connection(served: Served) -> None:
    await served.fetch(uris=("megabyte", "one"))
    for name in ("megabyte", "one"):
        assert served.downloaded(name) == served.content[name]
    assert len(served.connections) == 1


@pytest_twisted.ensureDeferred
async def test_what_is_not_there(served: Served) -> None:
    said = await served.fetch(uris=("nothing",))
    assert "[:status: 404]" in said


@pytest_twisted.ensureDeferred
async def test_a_body_is_sent_and_comes_back(served: Served, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(served.content["megabyte"])
    said = await served.fetch(f"--data={body}", "--http-method=POST", uris=("post",))
    assert "[:status: 200]" in said
    assert "[x-method: POST]" in said
    assert f"[x-host: {SERVER_NAME}:{served.listening.address[1]}]" in said
    assert served.downloaded("post") == served.content["megabyte"]


@pytest.mark.parametrize(
    "change",
    [
        ("--key-update=5ms",),
        ("--change-local-addr=5ms",),
        ("--change-local-addr=5ms", "--nat-rebinding"),
        ("--max-data=64K", "--max-stream-data-bidi-local=64K"),
        ("--preferred-versions=v1", "--version=0x1a2a3a4a"),
    ],
    ids=["key update", "migration", "NAT rebinding", "small windows", "version negotiation"],
)
@pytest_twisted.ensureDeferred
async def test_what_a_client_may_do_meanwhile(served: Served, change: tuple[str, ...]) -> None:
    await served.fetch(*change, uris=("megabyte",))
    assert served.downloaded("megabyte") == served.content["megabyte"]
