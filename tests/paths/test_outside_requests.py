"""Outside visitors reach a container through the whole path, byte for byte.

Visitor, TLS, gateway, tunnel, agent, container and back: all of them real.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.paths import testbed
from tests.ports import until
from tests.system import System, image_of

pytestmark = pytest.mark.whole_machine

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def host(system: System) -> Iterator[str]:
    """The public host name of a container that runs the testbed."""
    with image_of(Path(testbed.__file__)) as image:
        services = {"bed": {"image": image, "expose": [str(testbed.PORT)], "init": True}}
        system.deploy("testbed", yaml.safe_dump({"services": services}))
        name = system.expose("bed", "bed", testbed.PORT)
        until(
            "the device has opened the door and the container answers",
            lambda: asked(system, name, "GET", "/ended").status == 200,
            20,
        )
        yield name


def asked(
    system: System, host: str, method: str, path: str, body: object = None, **headers: str
) -> http.client.HTTPResponse:
    """One request of a visitor; the answer's body is still to be read."""
    connection = http.client.HTTPConnection(host)
    connection.sock = system.connect(host)
    connection.request(method, path, body=body, headers=headers)  # type: ignore[arg-type]
    return connection.getresponse()


def test_20_mib_come_down_byte_for_byte(system: System, host: str) -> None:
    answer = asked(system, host, "GET", f"/bytes?count={20 * MIB}&seed=7")
    assert answer.status == 200
    received = answer.read()
    source = random.Random(7)
    sent = b"".join(source.randbytes(testbed.CHUNK) for _ in range(20 * MIB // testbed.CHUNK))
    assert received == sent


def test_20_mib_go_up_byte_for_byte(system: System, host: str) -> None:
    body = os.urandom(20 * MIB)
    expected = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    assert json.loads(asked(system, host, "POST", "/", body).read()) == expected
    parts = (body[at : at + MIB] for at in range(0, len(body), MIB))
    assert json.loads(asked(system, host, "POST", "/", parts).read()) == expected


def test_websocket_messages_come_back(system: System, host: str) -> None:
    with system.connect(host) as visitor:
        visitor.sendall(
            f"GET /websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        stream = visitor.makefile("rb")
        assert stream.readline().split()[1] == b"101"
        headers = http.client.parse_headers(stream)
        # The example of RFC 6455, section 1.3.
        assert headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        for opcode, payload in ((1, "grüße".encode()), (2, os.urandom(300_000)), (2, b"")):
            visitor.sendall(testbed.frame(opcode, payload, mask=os.urandom(4)))
            assert testbed.read_frame(stream) == (opcode, payload)
        visitor.sendall(testbed.frame(8, b"\x03\xe8", mask=b"mask"))
        assert testbed.read_frame(stream) == (8, b"\x03\xe8")


def test_an_answer_that_never_ends_flows_until_the_visitor_leaves(
    system: System, host: str
) -> None:
    before = json.loads(asked(system, host, "GET", "/ended").read())["count"]
    answer = asked(system, host, "GET", "/forever")
    for number in range(30):
        assert answer.readline() == f"line {number}\n".encode()
    answer.close()

    def ended() -> bool:
        return bool(json.loads(asked(system, host, "GET", "/ended").read())["count"] > before)

    until("the container is told that the visitor has left", ended, 20)


def test_the_container_is_told_who_asks_and_nothing_of_ours(system: System, host: str) -> None:
    answer = asked(
        system,
        host,
        "GET",
        "/request?x=%2F",
        **{
            "Cookie": "mine=1; __Host-edgetainer-refresh=secret",
            "X-Forwarded-For": "203.0.113.9",
            "Connection": "x-hop",
            "X-Hop": "1",
        },
    )
    seen = json.loads(answer.read())
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert seen["path"] == "/request?x=%2F"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["cookie"] == "mine=1"
    assert "x-hop" not in headers
