"""Deploying, reporting and running a command, over the real tunnel in memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol

from edgetainer.api import agent
from edgetainer.api.route import Routes
from edgetainer.api.site import Gate, make_site
from edgetainer.domain.access import DeviceIdentity
from edgetainer.errors import EdgetainerError
from edgetainer.quic.certificates import verify_client_chain
from edgetainer.services.commands import MAX_KEPT, Commands
from edgetainer.services.deployments import Deployments
from edgetainer.tunnel.channel import FrameProtocol
from edgetainer.tunnel.messages import ExecTarget, Exit, FrameType, Signal, Target
from tests import world as tunnelled
from tests.services.world import PAGE, World, now


class Program(FrameProtocol):
    """A program on the device: says what it was asked, and counts its input's end."""

    def __init__(self, target: ExecTarget) -> None:
        self._target = target
        self._left = 0

    def connectionMade(self) -> None:
        name, *arguments = self._target.argv
        if name == "echo":
            self.send_frame(FrameType.DATA, " ".join(arguments).encode() + b"\n")
            self.send_frame(FrameType.STDERR, b"done\n")
            self._end(Exit(0, None))
        elif name == "flood":
            self._left = int(arguments[0])
            self._flood()

    def _flood(self) -> None:
        while self._left > 0:
            self.send_frame(FrameType.DATA, b"y" * min(self._left, 65536))
            self._left -= 65536
        self._end(Exit(0, None))

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.SIGNAL and Signal.parse(payload) == Signal("KILL"):
            self._end(Exit(None, "KILL"))

    def _end(self, exit_: Exit) -> None:
        self.send(exit_)
        self.transport.loseConnection()


class Host:
    """Opens programs and nothing else."""

    async def open(self, target: Target) -> IProtocol:
        if not isinstance(target, ExecTarget):
            raise EdgetainerError("channel_refused", "Only programs run here.")
        if target.argv[0] == "nothing":
            raise EdgetainerError("command_failed", "nothing: not found")
        return Program(target)


class Tunnel(tunnelled.World):
    """The tunnel's world, with devices known as the API knows them."""

    def verify(self, chain: list[Any]) -> DeviceIdentity:
        authority = self.network.authority.certificate
        leaf = verify_client_chain(chain, [authority], datetime.now(UTC))
        name = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return DeviceIdentity(str(name), "ff" * 32)


class Story:
    """One device, deployed to and asked for things."""

    def __init__(self, database: Any) -> None:
        self.world = World(database)
        self.routes = Routes(authenticate=self._nobody)
        self.tunnel = Tunnel(seed=5, delay=0.05)
        clock = self.tunnel.network.clock
        site = make_site(Gate(self.routes, authorities=None, prefix=b"/api/agent/"), reactor=clock)
        self.tunnel.serve(site, address=("192.0.2.9", 8444))
        self.world.deployments = Deployments(
            database=database,
            bell=self.tunnel.switchboard,
            events=self.world.events,
            now=self.world.now,
        )
        self.commands = Commands(
            database=database,
            devices=self.tunnel.switchboard,
            reactor=clock,
            now=self.world.now,
        )
        agent.add_routes(self.routes, agents=self.world.agents)
        self.device_id = self.world.device()

    async def _nobody(self, token: str) -> Any:
        raise EdgetainerError("session_expired")

    def connect(self) -> tunnelled.Device:
        self.device = self.tunnel.online(
            self.device_id, doors=Host(), addresses=[("192.0.2.9", 8444)]
        )
        return self.device

    def run(self, *argv: str, **more: Any) -> Any:
        asked = self.commands.run(
            self.world.operator, self.device_id, argv=argv, container="web", **more
        )
        return self.tunnel.run(Deferred.fromCoroutine(asked))

    def ask(self, method: str, path: str, **more: Any) -> Any:
        return self.tunnel.run(self.device.dialer.request(method, path, **more))


@pytest.fixture
def story(database):
    return Story(database)


def test_a_deployment_goes_to_the_device_and_comes_back_as_deployed(story):
    world = story.world
    device = story.connect()
    made = now(
        world.deployments.deploy(world.operator, world.upload().id, device_id=story.device_id)
    )
    story.tunnel.until(lambda: device.rings == [1])

    answer = story.ask("GET", "/api/agent/software")
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told["revision"] == 1
    assert [(s["name"], s["compose"]) for s in told["stacks"]] == [("page", PAGE)]
    etag = dict(answer.headers)[b"etag"]
    again = story.ask("GET", "/api/agent/software", headers=[(b"if-none-match", etag)])
    assert (again.status, again.body) == (304, b"")

    said = {"deployment_id": made.id, "revision": 1, "status": "deployed", "detail": ""}
    answer = story.ask("POST", "/api/agent/status", json={"deployments": [said]})
    assert (answer.status, json.loads(answer.body)) == (200, {"revision": 1})
    assert now(world.deployments.get(world.viewer, made.id)).status == "deployed"


def test_a_device_that_was_away_is_told_when_it_comes(story):
    world = story.world
    now(world.deployments.deploy(world.operator, world.upload().id, device_id=story.device_id))
    story.connect()
    assert json.loads(story.ask("GET", "/api/agent/config").body)["revision"] == 1


def test_nothing_but_its_own_api_is_behind_the_tunnel(story):
    story.connect()
    for path in ("/api/software", "/api/health", "/"):
        assert story.ask("GET", path).status == 404


def test_a_command_runs_on_the_device(story):
    story.connect()
    ended = story.run("echo", "a", "b")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, b"a b\n", b"done\n")
    assert ended.truncated is False
    # Two round trips of 0.1 s at most: opening, and the answer.
    assert 0.1 <= ended.duration_s < 0.5


def test_output_beyond_the_bounds_is_cut(story):
    story.connect()
    ended = story.run("flood", str(2 * MAX_KEPT))
    assert ended.exit_code == 0
    assert ended.stdout == b"y" * MAX_KEPT
    assert ended.truncated is True


def test_the_devices_reason_comes_back(story):
    story.connect()
    with pytest.raises(EdgetainerError) as caught:
        story.run("nothing")
    assert (caught.value.code, caught.value.detail) == ("command_failed", "nothing: not found")


def test_a_program_that_hangs_has_a_deadline(story):
    story.connect()
    with pytest.raises(EdgetainerError) as caught:
        story.run("hang", timeout_s=5)
    assert caught.value.code == "device_timeout"


def test_a_link_that_dies_under_a_command_is_told_as_such(story):
    device = story.connect()
    asked = story.commands.run(
        story.world.operator, story.device_id, argv=("hang",), container="web"
    )
    waiting = Deferred.fromCoroutine(asked)
    story.tunnel.pass_time(1)
    device.dialer.stop()
    with pytest.raises(EdgetainerError) as caught:
        story.tunnel.run(waiting)
    assert caught.value.code == "session_closed"
    with pytest.raises(EdgetainerError) as caught:
        story.run("echo")
    assert caught.value.code == "device_offline"
