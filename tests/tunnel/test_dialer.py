from __future__ import annotations

import json
import random
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.dialer import Dialer
from edgetainer.tunnel.messages import TcpTarget
from tests.authority import Authority, for_servers
from tests.network import SERVER
from tests.tunnel.recorder import Recorder
from tests.world import Echo, World


def test_connects_and_hears_the_servers_hello() -> None:
    world = World()
    device = world.online()
    [said] = device.told("connected")
    assert said == {"revision": 7, "heartbeat_s": 60, "keepalive_s": 10, "v": 1}
    assert world.changes == [("dev-1", True)]
    assert world.switchboard.session("dev-1").hello == {"agent_version": "1.0", "v": 1}


@pytest.mark.parametrize("seed", range(4))
def test_connects_over_a_bad_link(seed: int) -> None:
    world = World(seed=seed, loss=0.15, delay=0.15, jitter=0.1)
    world.online()


def test_a_revoked_certificate_is_called_by_its_name_and_never_spins() -> None:
    world = World()
    world.revoked.add("dev-1")
    device = world.device()
    world.pass_time(600)
    assert set(device.told("failed")) == {"certificate_refused"}
    assert device.told("connected") == []
    # Waits drawn from 0..60 s: some twenty attempts in ten minutes.
    assert 10 <= len(device.attempts) <= 45
    world.revoked.clear()
    world.until(lambda: device.connected, 61)


@pytest.mark.parametrize("spoil", ["other authority", "expired", "server usage"])
def test_no_other_certificate_gets_in(spoil: str) -> None:
    world = World()
    authority = world.network.authority
    leaf = {
        "other authority": lambda: Authority().client("dev-1"),
        "expired": lambda: authority.client("dev-1", expired=True),
        "server usage": lambda: authority.client("dev-1", usage=for_servers()),
    }[spoil]()
    device = world.device(leaf=leaf)
    world.until(lambda: bool(device.log))
    assert device.told("failed") == ["certificate_refused"]
    assert world.switchboard.online() == frozenset()


def test_revoking_a_live_session_closes_it_and_says_why() -> None:
    world = World()
    device = world.online()
    world.revoked.add("dev-1")
    revoked_at = world.now
    world.switchboard.disconnect("dev-1", EdgetainerError("certificate_refused", "Revoked."))
    world.until(lambda: not device.connected)
    assert world.now - revoked_at < 1.0
    assert device.told("disconnected") == ["certificate_refused"]
    assert world.changes[-1] == ("dev-1", False)
    world.until(lambda: bool(device.told("failed")))
    assert device.told("failed") == ["certificate_refused"]


def test_a_server_of_another_authority_is_not_trusted() -> None:
    world = World()
    foreign = Authority().server("server.test")
    world.server.set_tls(
        type(world.network.server_tls())(foreign.certificate_pem, foreign.key_pem, world.verify)
    )
    device = world.device()
    world.until(lambda: bool(device.log))
    assert device.told("failed") == ["unavailable"]


def test_the_handshake_alone_does_not_reset_the_backoff() -> None:
    world = World()
    world.refuse = EdgetainerError("unavailable", "Come back later.")
    device = world.device(seed=5)
    world.pass_time(600)
    assert set(device.told("failed")) == {"unavailable"}
    assert len(device.attempts) <= 45
    gaps = [b - a for (a, _), (b, _) in zip(device.attempts, device.attempts[1:], strict=False)]
    assert max(gaps[:2]) < 5
    assert max(gaps) > 20


def test_a_server_that_fails_refuses_and_keeps_its_reasons_to_itself() -> None:
    world, events = World(), []
    world.refuse = ZeroDivisionError("secret")
    globalLogPublisher.addObserver(events.append)
    try:
        device = world.device()
        world.until(lambda: bool(device.log))
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert device.told("failed") == ["internal"]
    assert any("log_failure" in event for event in events)


def test_acceptance_resets_the_backoff() -> None:
    world = World()
    world.network.up = False
    device = world.device(seed=2)
    world.pass_time(300)
    assert device.told("failed")
    world.network.up = True
    world.until(lambda: device.connected, 80)
    world.switchboard.disconnect("dev-1", EdgetainerError("session_closed"))
    world.until(lambda: not device.connected)
    gone_at = world.now
    world.until(lambda: device.connected)
    # The bound is a second again; the rest is the handshake.
    assert world.now - gone_at < 1.2


@pytest.mark.parametrize("seed", range(4))
def test_a_device_notices_a_killed_server_as_soon_as_it_is_back(seed: int) -> None:
    world = World(seed=seed, delay=0.04)
    device = world.online(seed=seed)
    world.kill_server()
    world.pass_time(3)
    world.serve()
    back_at = world.now
    # Something to say every 100 ms, as a terminal has; the answers do not come.
    while not device.told("disconnected"):
        device.dialer.request("GET", "/").addErrback(lambda _: None)
        world.pass_time(0.1)
    assert world.now - back_at < 0.3
    world.until(lambda: device.connected)
    print(f"connected {world.now - back_at:.2f} s after the server's return")
    assert world.now - back_at < 2
    assert len(device.attempts) == 2


def test_an_idle_device_notices_a_killed_server_with_its_next_keepalive() -> None:
    world = World(delay=0.04)
    device = world.online()
    world.kill_server()
    world.pass_time(1)
    world.serve()
    back_at = world.now
    world.until(lambda: not device.connected)
    assert world.now - back_at < 10.1
    world.until(lambda: device.connected)
    assert world.now - back_at < 12


@pytest.mark.parametrize(("outage", "within"), [(3, 2.5), (12, 2.5), (60, 2.5), (600, 2.5)])
def test_an_outage_keeps_the_session_and_its_channels(outage: float, within: float) -> None:
    world, heard = World(seed=3, delay=0.04), Recorder()
    device = world.online(doors={"echo": Echo})
    world.run(world.open(TcpTarget("echo", 80), heard))
    session = world.switchboard.session("dev-1")
    world.pass_time(33)
    world.network.up = False
    heard.transport.write(b"into the dark")
    world.pass_time(outage)
    online = world.switchboard.online()
    assert bool(online) == (outage < 12)
    world.network.up = True
    back_at = world.now
    world.until(lambda: heard.data == b"into the dark")
    assert world.now - back_at <= within
    world.until(lambda: bool(world.switchboard.online()))
    assert world.now - back_at <= within
    world.pass_time(60)
    assert world.switchboard.session("dev-1") is session
    assert device.told("disconnected") == []
    assert device.connected
    if outage >= 60:
        # It was looked for meanwhile, by other connections that came to nothing.
        assert len(device.attempts) > 2
        assert world.changes == [("dev-1", True), ("dev-1", False), ("dev-1", True)]


@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_lost_its_memory_is_found_by_another_connection(seed: int) -> None:
    world = World(seed=seed)
    device = world.online(seed=seed)
    world.pass_time(15)
    # Another process, that knows nothing of the connection and cannot reset it.
    address = ("192.0.2.2", 8444)
    world.network.filter = lambda data, source, destination: SERVER not in (source, destination)
    device.dialer._rounds._addresses = (SERVER, address)
    world.serve(address=address)
    lost_at = world.now
    world.until(lambda: bool(device.told("disconnected")), 60)
    assert device.connected
    world.pass_time(1)
    assert device.told("disconnected") == ["session_closed"]
    assert len(device.told("connected")) == 2
    # Two keepalives, a round over the first address, and time for the old one to speak.
    assert world.now - lost_at < 20 + 1 + 15 + 3 + 2


def test_a_silent_server_that_speaks_in_time_is_not_left_for_another() -> None:
    world = World()
    device = world.online()
    session = world.switchboard.session("dev-1")
    old = next(address for address in world.network.carriers if address != SERVER)
    # The old way is shut for 40 s and the new ones are open.
    world.network.filter = lambda data, source, destination: old not in (source, destination)
    world.until(lambda: len(device.attempts) > 1, 30)
    world.pass_time(1)
    world.network.filter = None
    world.pass_time(30)
    assert world.switchboard.session("dev-1") is session
    assert device.told("disconnected") == []
    assert len(device.attempts) == 2


def test_a_session_that_ends_in_silence_is_dialled_anew_at_once() -> None:
    world = World()
    device = world.online()
    world.network.up = False
    world.pass_time(200)
    assert len(device.attempts) > 4
    device.dialer._link.close(EdgetainerError("session_closed"))
    world.network.up = True
    ended_at = world.now
    world.until(lambda: len(device.told("connected")) == 2)
    assert world.now - ended_at < 1.2


def test_stopping_while_the_server_is_silent() -> None:
    world = World()
    device = world.online()
    world.network.up = False
    world.pass_time(40)
    world.run(device.dialer.stop())
    attempts = len(device.attempts)
    world.network.up = True
    world.pass_time(120)
    assert len(device.attempts) == attempts
    assert not device.connected


def test_names_are_resolved_at_each_attempt_and_addresses_tried_in_turn() -> None:
    world = World()
    device = world.device(
        addresses=[("nowhere.example", 8444), ("server.example", 8444), ("192.0.2.9", 8444)]
    )
    world.pass_time(40)
    assert {host for _, host in device.attempts} == {"192.0.2.9"}
    assert set(device.told("failed")) == {"unavailable"}
    world.names["server.example"] = ["192.0.2.77", SERVER[0]]
    world.until(lambda: device.connected, 120)
    assert [host for _, host in device.attempts[-2:]] == ["192.0.2.77", SERVER[0]]


def test_rivals_with_one_identity_wait_longer_and_longer() -> None:
    world = World()
    leaf = world.network.authority.client("dev-1")
    one = world.online(leaf=leaf, seed=1)
    two = world.device(leaf=leaf, seed=2)
    world.pass_time(600)
    codes = one.told("disconnected") + two.told("disconnected")
    assert set(codes) == {"session_replaced"}
    # Without the growing wait they would swap some hundreds of times.
    assert 3 <= len(codes) <= 60


def test_a_renewed_certificate_is_used_for_the_next_attempt() -> None:
    world = World()
    device = world.online()
    device.leaf = world.network.authority.client("dev-2")
    world.switchboard.disconnect("dev-1", EdgetainerError("session_closed"))
    world.until(lambda: world.switchboard.online() == {"dev-2"})


def test_stopping_says_goodbye_and_dials_no_more() -> None:
    world = World()
    device = world.online()
    world.run(device.dialer.stop())
    world.until(lambda: not world.switchboard.online())
    assert world.changes == [("dev-1", True), ("dev-1", False)]
    assert device.told("disconnected") == ["session_closed"]
    world.pass_time(120)
    assert len(device.attempts) == 1
    device.dialer.start()
    world.until(lambda: device.connected)


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 5.0])
def test_stopping_at_any_moment_of_dialling(moment: float) -> None:
    world = World()
    world.network.up = moment < 1
    device = world.device()
    world.pass_time(moment)
    world.run(device.dialer.stop())
    attempts = len(device.attempts)
    world.pass_time(120)
    assert len(device.attempts) == attempts
    assert world.switchboard.online() == frozenset()


def test_an_attempt_that_is_under_way_begins_anew_when_the_address_changes() -> None:
    world = World()
    world.network.up = False
    device = world.device()
    world.pass_time(5)
    world.network.up = True
    device.move("203.0.113.77")
    moved_at = world.now
    world.until(lambda: device.connected, 3)
    assert [at >= moved_at for at, _ in device.attempts] == [False, True]
    assert device.told("failed") == []


def test_nobody_hears_of_failures_that_a_stop_has_caused() -> None:
    events: list[Any] = []
    world = World()
    world.network.up = False
    device = world.device()
    world.pass_time(1)
    globalLogPublisher.addObserver(events.append)
    try:
        device.dialer.stop()
        world.pass_time(1)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert not events


def test_stopping_while_a_name_is_looked_up() -> None:
    world = World()
    asked: Deferred[list[str]] = Deferred()
    device = world.device(addresses=[("192.0.2.9", 1), ("server.example", 8444), SERVER])
    device.dialer._rounds._resolve = lambda host: asked if host[0] == "s" else world.resolve(host)
    world.pass_time(16)
    assert [host for _, host in device.attempts] == ["192.0.2.9"]
    world.run(device.dialer.stop())
    world.pass_time(120)
    assert [host for _, host in device.attempts] == ["192.0.2.9"]
    assert device.log == []


@pytest.mark.parametrize("moment", ["connected", "disconnected", "failed"])
def test_stopping_from_a_listener(moment: str) -> None:
    world = World()
    device = world.device()
    note = device._note

    def stop(what: str, detail: Any) -> None:
        note(what, detail)
        if what == moment:
            device.dialer.stop()

    device._note = stop  # type: ignore[method-assign]
    world.network.up = moment != "failed"
    world.pass_time(30)
    world.switchboard.disconnect("dev-1", EdgetainerError("session_closed"))
    world.pass_time(120)
    assert len(device.attempts) == 1
    assert not device.connected
    assert world.switchboard.online() == frozenset()


def test_a_listener_that_fails_does_not_end_the_dialling() -> None:
    world, events = World(), []

    def fails(_: object) -> None:
        raise ZeroDivisionError

    globalLogPublisher.addObserver(events.append)
    try:
        device = world.device()
        device.dialer._on_connected = fails
        device.dialer._rounds._on_doorbell = fails
        world.until(lambda: device.connected)
        world.switchboard.ring("dev-1", 9)
        world.pass_time(5)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert device.connected
    assert sum("log_failure" in event for event in events) == 2


class Api(Resource):
    """Answers with what it saw of the request."""

    isLeaf = True

    def render(self, request: Any) -> Any:
        if request.path == b"/slow":
            return NOT_DONE_YET
        request.setResponseCode(201)
        request.setHeader(b"etag", b'"7"')
        saw = {
            "method": request.method.decode(),
            "body": request.content.read().decode(),
            "type": request.getHeader("content-type"),
            "device": request.channel.connection.identity.device_id,
        }
        return json.dumps(saw).encode()


def test_requests_travel_on_the_tunnel_with_the_devices_identity() -> None:
    world = World(site=Site(Api()))
    device = world.online()
    response = world.run(
        device.dialer.request("POST", "/api/agent/heartbeat", json={"metrics": {"cpu": 1}})
    )
    assert response.status == 201
    assert response.header(b"etag") == b'"7"'
    assert json.loads(response.body) == {
        "method": "POST",
        "body": '{"metrics":{"cpu":1}}',
        "type": "application/json",
        "device": "dev-1",
    }


def failure_of(waiting: Deferred[Any], world: World, timeout: float = 90.0) -> str:
    with pytest.raises(EdgetainerError) as caught:
        world.run(waiting, timeout)
    return caught.value.code


def test_requests_fail_clearly_without_an_answer() -> None:
    world = World(site=Site(Api()))
    device = world.device()
    assert failure_of(device.dialer.request("GET", "/"), world) == "unavailable"
    world.until(lambda: device.connected)
    assert failure_of(device.dialer.request("GET", "/slow", timeout=5), world, 6) == "unavailable"
    waiting = device.dialer.request("GET", "/slow")
    world.switchboard.disconnect("dev-1", EdgetainerError("session_closed"))
    assert failure_of(waiting, world) == "unavailable"
    world.until(lambda: device.connected)
    cancelled = device.dialer.request("GET", "/slow")
    cancelled.cancel()
    codes: list[Any] = []
    cancelled.addErrback(lambda failure: codes.append(failure.type))
    assert codes in ([EdgetainerError], [CancelledError])


def test_stopping_while_a_name_is_looked_up_looks_up_no_other() -> None:
    world = World()
    asked: list[str] = []

    def resolve(host: str) -> Deferred[list[str]]:
        asked.append(host)
        return Deferred()

    dialer = Dialer(
        reactor=world.network.reactor,
        addresses=[("one.test", 1), ("two.test", 2)],
        tls=world.network.client_tls,
        doors=None,  # type: ignore[arg-type]  # never connected
        hello=dict,
        on_connected=lambda hello: None,
        on_disconnected=lambda error: None,
        on_doorbell=lambda revision: None,
        random=random.Random(1),
        resolve=resolve,
    )
    dialer.start()
    assert asked == ["one.test"]
    dialer.stop()
    world.pass_time(60)
    assert asked == ["one.test"]
