"""Bad input gets a stable code and status, to the caller and in the server's log."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from edgetainer.cli.client import Refused
from edgetainer.quic.endpoint import ClientTls, connect
from edgetainer.tunnel.limits import HELLO_HEADER, SESSION_PATH
from edgetainer.tunnel.messages import encode_hello
from tests.authority import Authority
from tests.ports import until
from tests.system import System

pytestmark = pytest.mark.whole_machine

GOOD_COMPOSE = "services: {web: {image: 'nothing:1'}}"


def refused(system: System, ask: Callable[[], Any]) -> Refused:
    """The error that a request gets; its code must reach the log as well."""
    before = len(system.log())
    with pytest.raises(Refused) as caught:
        ask()
    until(
        f"{caught.value.code} is in the log", lambda: caught.value.code in system.log()[before:], 5
    )
    return caught.value


@dataclass(frozen=True)
class Enrolled:
    """A device that enrolled from here, not by an agent."""

    device_id: str
    certificate: bytes
    authorities: bytes
    private_key: bytes
    server_name: str


def new_token(system: System, *, expires_in_s: int = 600) -> str:
    wanted = {"uses": 1, "expires_in_s": expires_in_s}
    return str(system.client.ask("POST", "/api/provision/tokens", wanted)["token"])


def request_certificate() -> tuple[bytes, bytes]:
    """A key and a certificate request for it, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, request.public_bytes(serialization.Encoding.PEM)


def register(system: System, token: str, request: bytes) -> Any:
    body = {
        "token": token,
        "csr": request.decode(),
        "hostname": "from-a-test",
        "os_version": "none",
        "hardware_info": {},
    }
    return system.client.ask("POST", "/api/provision/register", body)


def enrol(system: System) -> Enrolled:
    private_key, request = request_certificate()
    reply = register(system, new_token(system), request)
    return Enrolled(
        device_id=reply["device_id"],
        certificate=reply["certificate"].encode(),
        authorities=reply["ca"].encode(),
        private_key=private_key,
        server_name=reply["tunnel"]["server_name"],
    )


def test_tokens_that_do_not_let_in(system: System) -> None:
    _, request = request_certificate()
    wrong = refused(system, lambda: register(system, "A" * 43, request))
    assert (wrong.status, wrong.code) == (401, "token_unknown")

    used = new_token(system)
    first = register(system, used, request)
    # The same key again is a reply that was lost, not a second device.
    assert register(system, used, request) == first
    _, other = request_certificate()
    again = refused(system, lambda: register(system, used, other))
    assert (again.status, again.code) == (409, "token_used")

    late = new_token(system, expires_in_s=1)
    time.sleep(1.2)
    expired = refused(system, lambda: register(system, late, other))
    assert (expired.status, expired.code) == (401, "token_expired")

    broken = refused(system, lambda: register(system, new_token(system), b"not a request"))
    assert (broken.status, broken.code) == (400, "csr_invalid")


def dial(system: System, tls: ClientTls) -> Deferred[Any]:
    return connect(
        reactor, host="127.0.0.1", port=system.document["tunnel_port"], tls=tls, timeout=10.0
    )


def tls_of(device: Enrolled) -> ClientTls:
    return ClientTls(
        certificate_authorities=device.authorities,
        server_name=device.server_name,
        certificate_chain=device.certificate,
        private_key=device.private_key,
    )


async def told_in_log(system: System, before: int) -> None:
    """Wait until the log tells, after its first `before` characters, of a refused certificate."""
    for _ in range(50):
        if "certificate_refused" in system.log()[before:]:
            return
        await deferLater(reactor, 0.1)
    raise AssertionError("the log does not tell of it")


@pytest_twisted.ensureDeferred
async def test_a_foreign_certificate_is_refused_in_the_handshake(system: System) -> None:
    device = enrol(system)
    foreign = Authority("someone else's authority").client(device.device_id)
    before = len(system.log())
    with pytest.raises(Exception, match=r"(?i)certificate|refused|handshake|closed"):
        await dial(
            system,
            ClientTls(
                certificate_authorities=device.authorities,
                server_name=device.server_name,
                certificate_chain=foreign.certificate_pem,
                private_key=foreign.key_pem,
            ),
        )
    await told_in_log(system, before)


@pytest_twisted.ensureDeferred
async def test_revoking_closes_the_live_connection_and_refuses_the_next(system: System) -> None:
    device = enrol(system)
    connection = await dial(system, tls_of(device))
    await connection.open_session(SESSION_PATH, headers=[(HELLO_HEADER, encode_hello({}))])
    closed = connection.notify_close()
    revoked = time.monotonic()
    system.client.ask("POST", f"/api/devices/{device.device_id}/revoke")
    await closed.addBoth(lambda _: None).addTimeout(5, reactor)
    assert time.monotonic() - revoked < 2.0
    before = len(system.log())
    with pytest.raises(Exception, match=r"(?i)certificate|refused|handshake|closed"):
        await dial(system, tls_of(device))
    await told_in_log(system, before)


@pytest.mark.parametrize(
    "compose",
    [
        "services: [",
        "just a text",
        "services: {web: {image: x, build: .}}",
        "include: [other.yaml]\n" + GOOD_COMPOSE,
    ],
)
def test_a_malformed_compose_file(system: System, compose: str) -> None:
    upload = {"name": "malformed", "compose": compose}
    error = refused(system, lambda: system.client.ask("POST", "/api/software/upload", upload))
    assert (error.status, error.code) == (400, "compose_invalid")
    names = [it["name"] for it in system.client.ask("GET", "/api/software")["items"]]
    assert "malformed" not in names


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b'{"username": "admin"'])
def test_a_body_that_is_not_json(system: System, body: bytes) -> None:
    before = len(system.log())
    status, content = system.client.fetch(
        "POST", "/api/auth/login", headers={"Content-Type": "application/json"}, body=body
    )
    assert (status, json.loads(content)["code"]) == (400, "invalid_json")
    until("it is in the log", lambda: "invalid_json" in system.log()[before:], 5)


def visit(system: System, host: str) -> tuple[int, str]:
    """Status and page that a visitor gets."""
    connection = http.client.HTTPConnection(host)
    connection.sock = system.connect(host)
    connection.request("GET", "/", headers={"Accept": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_closed_port(system: System) -> None:
    before = len(system.log())
    host = system.expose("closed", "web", 9)
    status, page = visit(system, host)
    assert status == 502
    assert "port_closed" in page
    until("it is in the log", lambda: "port_closed" in system.log()[before:], 5)


def test_an_unknown_subdomain(system: System) -> None:
    before = len(system.log())
    status, page = visit(system, "nobody.apps.edgetainer.localhost")
    assert status == 404
    assert "host_unknown" in page
    until("it is in the log", lambda: "host_unknown" in system.log()[before:], 5)


def test_nothing_is_left_half_done(system: System) -> None:
    """After all of the above the demo device still serves its page."""
    assert system.device()["status"] == "online"
    status, page = visit(system, system.document["device_url"].split("/")[2].split(":")[0])
    assert status == 200
    assert "Hello from the edge" in page
