from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread

from edgetainer.errors import EdgetainerError
from edgetainer_agent.enrol import Enrolment, https_client
from edgetainer_agent.identity import IdentityStore
from tests.agent.enrolment_server import TOKEN, EnrolmentServer

FACTS = {"hostname": "kiosk", "os_version": "Test 1", "hardware_info": {"cpu_count": 2}}


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    running = EnrolmentServer()
    await running.start(reactor)
    yield running
    await running.stop()


class Device:
    """An enrolment of one state folder against one server."""

    def __init__(self, folder: Path, server: EnrolmentServer) -> None:
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self.token_file = folder / "token"
        self.ca_file.write_bytes(server.authority.pem)
        self.token_file.write_text(f"{TOKEN}\n")
        self.store = IdentityStore(folder / "state")
        self.store.open()
        self.ceilings: list[float] = []
        self.server = server

    def enrolment(self, *, clock: Any = reactor, ca_file: Path | None = None) -> Enrolment:
        return Enrolment(
            clock=clock,
            http=https_client(reactor, ca_file or self.ca_file),
            store=self.store,
            server_url=self.server.url,
            facts=FACTS,
            token=None,
            token_file=self.token_file,
            random=self._random,
        )

    def _random(self, _low: float, high: float) -> float:
        self.ceilings.append(high)
        return 0.0


@pytest.fixture
def device(tmp_path: Path, server: EnrolmentServer) -> Any:
    made = Device(tmp_path, server)
    yield made
    made.store.close()


@pytest_twisted.ensureDeferred
async def test_enrols_and_forgets_the_token(device: Device, server: EnrolmentServer) -> None:
    identity = await device.enrolment().run()
    assert identity.device_id == "device-1"
    assert identity.tunnel_addresses == (("127.0.0.1", 8444),)
    assert device.store.load() == identity
    assert not device.token_file.exists()
    (request,) = server.requests
    assert request["token"] == TOKEN
    assert request["hostname"] == "kiosk"
    assert request["hardware_info"] == {"cpu_count": 2}


@pytest_twisted.ensureDeferred
async def test_repeats_with_growing_jitter(device: Device, server: EnrolmentServer) -> None:
    server.failures = 8
    await device.enrolment().run()
    assert device.ceilings == [1, 2, 4, 8, 16, 32, 60, 60]
    # Always the same key, so the server always has the same answer.
    keys = {
        x509.load_pem_x509_csr(request["csr"].encode())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for request in server.requests
    }
    assert len(keys) == 1
    assert len(server.requests) == 9


@pytest.mark.parametrize("code", ["token_used", "token_expired", "token_unknown", "csr_invalid"])
@pytest_twisted.ensureDeferred
async def test_refusals_are_final(device: Device, server: EnrolmentServer, code: str) -> None:
    server.refuse = EdgetainerError(code, "told so")
    with pytest.raises(EdgetainerError) as caught:
        await device.enrolment().run()
    assert (caught.value.code, caught.value.detail) == (code, "told so")
    assert device.store.load() is None
    assert device.token_file.exists()
    assert len(server.requests) == 1


@pytest_twisted.ensureDeferred
async def test_too_many_attempts_is_not_final(device: Device, server: EnrolmentServer) -> None:
    server.refuse = EdgetainerError("too_many_attempts")
    enrolment = device.enrolment()
    running = Deferred.fromCoroutine(enrolment.run())
    while len(server.requests) < 3:
        await deferLater(reactor, 0.01)
    server.refuse = None
    assert (await running).device_id == "device-1"


@pytest_twisted.ensureDeferred
async def test_a_server_of_another_authority_learns_nothing(
    device: Device, server: EnrolmentServer, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(EnrolmentServer().authority.pem)
    enrolment = device.enrolment(ca_file=stranger)
    running = Deferred.fromCoroutine(enrolment.run())
    while len(device.ceilings) < 2:
        await deferLater(reactor, 0.01)
    enrolment.stop()
    with pytest.raises(CancelledError):
        await running
    assert server.requests == []


@pytest_twisted.ensureDeferred
async def test_a_silent_server_is_left_and_asked_again(
    device: Device, server: EnrolmentServer
) -> None:
    clock = Clock()
    server.silent = 1
    running = Deferred.fromCoroutine(device.enrolment(clock=clock).run())
    while server.silent:
        await deferLater(reactor, 0.01)
    clock.advance(30)
    while not device.ceilings:
        await deferLater(reactor, 0.01)
    clock.advance(0)
    assert (await running).device_id == "device-1"


@pytest_twisted.ensureDeferred
async def test_stop_while_waiting(device: Device, server: EnrolmentServer) -> None:
    server.silent = 1
    enrolment = device.enrolment()
    running = Deferred.fromCoroutine(enrolment.run())
    while server.silent:
        await deferLater(reactor, 0.01)
    enrolment.stop()
    with pytest.raises(CancelledError):
        await running


@pytest.mark.parametrize("content", [None, ""])
@pytest_twisted.ensureDeferred
async def test_no_token_is_a_clear_error(device: Device, content: str | None) -> None:
    if content is None:
        device.token_file.unlink()
    else:
        device.token_file.write_text(content)
    with pytest.raises(EdgetainerError) as caught:
        await device.enrolment().run()
    assert (caught.value.code, caught.value.field) == ("config_invalid", "token_file")


def test_an_unusable_authority_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    for bad in (file, tmp_path / "missing"):
        with pytest.raises(EdgetainerError) as caught:
            https_client(reactor, bad)
        assert caught.value.field == "ca_file"


@pytest_twisted.ensureDeferred
async def test_killed_at_any_step_it_is_never_half_enrolled(
    tmp_path: Path, server: EnrolmentServer
) -> None:
    """A real process is killed before each system call that touches the state."""
    (tmp_path / "ca.pem").write_bytes(server.authority.pem)
    done = await deferToThread(
        subprocess.run,
        [sys.executable, "-m", "tests.agent.kill_each_step", str(tmp_path), server.url, TOKEN],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    killed = [step for step in steps if step["killed"]]
    # Key and identity: temporary, write, fsync, rename, folder; then the token.
    assert len(killed) >= 12
    assert not steps[-1]["killed"]
    for step in killed:
        assert step["after_kill"] in ("not enrolled", "enrolled"), step
        assert step["after_restart"] == "enrolled", step
        assert step["key_kept"], step
        assert step["leftovers"] == [], step
    assert {step["after_kill"] for step in killed} == {"not enrolled", "enrolled"}


@pytest_twisted.ensureDeferred
async def test_a_page_in_between_is_not_followed(device: Device, server: EnrolmentServer) -> None:
    # As of a hotel's network, or of a console that is still being set up.
    server.redirects = 2
    assert (await device.enrolment().run()).device_id == "device-1"
    assert len(device.ceilings) == 2
