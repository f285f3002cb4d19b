"""The agent as a whole, against a real server over real UDP."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import ExecTarget, FrameType, TcpTarget, TerminalTarget
from edgetainer_agent.config import Settings
from edgetainer_agent.docker import project_prefix
from edgetainer_agent.service import AgentService
from tests.agent.device_server import DeviceServer, Lines, Screen
from tests.agent.enrolment_server import TOKEN
from tests.docker import SOCKET, remove_projects

SEED = 20


async def until(condition: Any, *, seconds: float = 20.0) -> None:
    """Let the reactor run until `condition()` holds."""
    deadline = reactor.seconds() + seconds  # type: ignore[attr-defined]
    while not condition():
        assert reactor.seconds() < deadline, f"not within {seconds} s"  # type: ignore[attr-defined]
        await deferLater(reactor, 0.01)


class Agent:
    """An agent on a state folder of its own, as one process would run it."""

    def __init__(self, folder: Path, server: DeviceServer, **settings: Any) -> None:
        self.folder = folder
        self.server = server
        self.failures: list[EdgetainerError] = []
        (folder / "ca.pem").write_bytes(server.enrolment.authority.pem)
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        self.settings = Settings(
            state_dir=folder / "state",
            server_url=server.enrolment.url,
            ca_file=folder / "ca.pem",
            token_file=self.token_file,
            name="kiosk",
            shell="/bin/sh",
            **{"docker_socket": SOCKET, **settings},
        )
        self.service = self._new()

    def _new(self) -> AgentService:
        print(f"seed {SEED}")
        return AgentService(
            reactor=reactor,
            settings=self.settings,
            on_failure=self.failures.append,
            random=random.Random(SEED),
        )

    def start(self) -> None:
        self.service = self._new()
        self.service.startService()

    async def stop(self) -> None:
        if self.service.running:
            await self.service.stopService()

    async def online(self) -> None:
        self.start()
        await until(lambda: self.server.online)


@pytest_twisted.async_yield_fixture
async def server(device_id: str) -> Any:
    running = DeviceServer(reactor, device_id)
    await running.start()
    yield running
    await running.stop()


@pytest_twisted.async_yield_fixture
async def agent(tmp_path: Path, server: DeviceServer) -> Any:
    made = Agent(tmp_path, server)
    yield made
    await made.stop()


@pytest_twisted.async_yield_fixture
async def agent_with_docker(agent: Agent, docker_engine: Any, device_id: str) -> Any:
    yield agent
    await agent.stop()
    remove_projects(docker_engine, project_prefix(device_id))


@pytest_twisted.ensureDeferred
async def test_enrols_connects_and_beats(agent: Agent, server: DeviceServer) -> None:
    await agent.online()
    await until(lambda: server.posted["heartbeat"])
    beat = server.posted["heartbeat"][0]
    assert set(beat) == {
        "metrics", "containers", "agent_version", "os_version", "hardware_info", "revision",
    }  # fmt: skip
    assert beat["metrics"]["memory_total"] > beat["metrics"]["memory_used"] > 0
    assert beat["os_version"]
    assert not agent.token_file.exists()
    hello = server.switchboard.session(server.device_id).hello
    assert (hello["name"], hello["agent_version"]) == ("kiosk", beat["agent_version"])

    # Started again it is the same device, without a token.
    enrolments = len(server.enrolment.requests)
    await agent.stop()
    await until(lambda: not server.online)
    await agent.online()
    assert len(server.enrolment.requests) == enrolments == 1


@pytest_twisted.ensureDeferred
async def test_a_terminal_and_a_command_through_the_tunnel(
    agent: Agent, server: DeviceServer
) -> None:
    await agent.online()
    screen = Screen()
    await server.open(TerminalTarget(container=None, columns=80, rows=24), screen)
    screen.send_frame(FrameType.DATA, b"yes edgetainer\r")
    await until(lambda: len(screen.output) > 1_000_000)
    screen.send_frame(FrameType.DATA, b"\x03")
    screen.send_frame(FrameType.DATA, b"echo $((6*7)); exit 5\r")
    await until(lambda: screen.exit is not None)
    assert screen.exit is not None
    assert screen.exit.code == 5
    assert b"42" in screen.output

    screen = Screen()
    command = ExecTarget(argv=("sh", "-c", "cat; echo no >&2"), container=None, timeout_s=20)
    await server.open(command, screen)
    sent = bytes(range(256)) * 8_192
    for start in range(0, len(sent), 65_536):
        screen.send_frame(FrameType.DATA, sent[start : start + 65_536])
    screen.send_frame(FrameType.EOF)
    await until(lambda: screen.exit is not None)
    assert bytes(screen.output) == sent
    assert bytes(screen.errors) == b"no\n"


@pytest_twisted.ensureDeferred
async def test_a_reader_that_never_reads_holds_the_device_back(
    agent: Agent, server: DeviceServer
) -> None:
    await agent.online()
    screen = Screen()
    marker = agent.folder / "written"
    script = f"dd if=/dev/zero bs=1M count=8 2>/dev/null; echo over > {marker}"
    await server.open(ExecTarget(("sh", "-c", script), container=None, timeout_s=60), screen)
    screen.transport.pauseProducing()  # type: ignore[union-attr]
    await deferLater(reactor, 1.0)
    held = len(screen.output)
    await deferLater(reactor, 0.5)
    assert len(screen.output) == held < 2 * 1024 * 1024
    assert not marker.exists()
    screen.transport.resumeProducing()  # type: ignore[union-attr]
    await until(lambda: screen.exit is not None, seconds=60)
    assert len(screen.output) == 8 * 1024 * 1024


@pytest_twisted.ensureDeferred
async def test_refusals_reach_the_server_by_name(agent: Agent, server: DeviceServer) -> None:
    await agent.online()
    for target, code in (
        (TcpTarget("web", 8080), "service_not_exposed"),
        (TerminalTarget("nothing", 80, 24), "container_not_found"),
        (ExecTarget(("/no/such",), None, 5), "command_failed"),
    ):
        with pytest.raises(EdgetainerError) as caught:
            await server.open(target, Screen())
        assert caught.value.code == code


@pytest_twisted.ensureDeferred
async def test_doors_are_open_from_the_start_also_before_the_first_pull(
    agent: Agent, server: DeviceServer
) -> None:
    server.want(1, doors=[("web", 8080)])
    await agent.online()
    await until(lambda: server.asked.count("software") == 1)
    await agent.stop()
    await until(lambda: not server.online)
    server.answers["config"] = {"nothing": "of use"}
    asked = server.asked.count("config")
    await agent.online()
    await until(lambda: server.asked.count("config") > asked)
    with pytest.raises(EdgetainerError) as caught:
        await server.open(TcpTarget("web", 8080), Lines())
    # The door is open; only nobody is behind it.
    assert caught.value.code == "container_not_found"
    with pytest.raises(EdgetainerError) as caught:
        await server.open(TcpTarget("web", 8081), Lines())
    assert caught.value.code == "service_not_exposed"


@pytest_twisted.ensureDeferred
async def test_deploys_at_a_ring_and_opens_the_page(
    agent_with_docker: Agent, server: DeviceServer, busybox_image: str
) -> None:
    agent = agent_with_docker
    await agent.online()
    await until(lambda: server.asked.count("software") == 1)
    stack = {
        "deployment_id": "11111111-1111-4111-8111-111111111111",
        "name": "shop",
        "version": "1",
        "compose": json.dumps(
            {
                "services": {
                    "web": {
                        "image": busybox_image,
                        "command": ["httpd", "-f", "-p", "8080", "-h", "/www"],
                        "init": True,
                    }
                }
            }
        ),
        "env": {},
    }
    server.want(3, stack, doors=[("web", 8080), ("web", 9)])
    server.ring(3)
    await until(lambda: len(server.posted["status"]) >= 2, seconds=60)
    told = [(one["status"], one["revision"]) for post in server.posted["status"]
            for one in post["deployments"]]  # fmt: skip
    assert told == [("updating", 3), ("deployed", 3)]
    (container,) = server.posted["status"][-1]["containers"]
    assert (container["stack"], container["service"]) == ("shop", "web")

    page = Lines()
    await server.open(TcpTarget("web", 8080), page)
    page.transport.write(b"GET / HTTP/1.0\r\n\r\n")  # type: ignore[union-attr]
    await until(lambda: page.closed)
    assert page.received.startswith(b"HTTP/1.")
    assert page.received.endswith(b"hello from the container\n")
    with pytest.raises(EdgetainerError) as caught:
        await server.open(TcpTarget("web", 9), Lines())
    assert caught.value.code == "port_closed"
    with pytest.raises(EdgetainerError) as caught:
        await server.open(TcpTarget("web", 8081), Lines())
    assert caught.value.code == "service_not_exposed"

    screen = Screen()
    await server.open(TerminalTarget("web", 80, 24), screen)
    screen.send_frame(FrameType.DATA, b"cat /www/index.html; exit\r")
    await until(lambda: screen.exit is not None)
    assert b"hello from the container" in screen.output

    # Nothing changed: a ring costs two answers without a body.
    before = server.unchanged
    server.ring(3)
    await until(lambda: server.unchanged == before + 2)

    # The server was away, and the device tells it anew how things stand.
    del server.posted["status"][:]
    await server.stop_tunnel()
    await until(lambda: not server.online)
    await server.start_tunnel()
    await until(lambda: server.online, seconds=60)
    await until(lambda: server.posted["status"])
    assert server.posted["status"][0]["deployments"][0]["status"] == "deployed"


@pytest_twisted.ensureDeferred
async def test_without_docker_it_stays_online(tmp_path: Path, server: DeviceServer) -> None:
    agent = Agent(tmp_path, server, docker_socket=tmp_path / "none.sock")
    try:
        await agent.online()
        await until(lambda: server.posted["heartbeat"])
        assert server.posted["heartbeat"][0]["containers"] is None
        with pytest.raises(EdgetainerError) as caught:
            await server.open(TerminalTarget("web", 80, 24), Screen())
        assert caught.value.code == "docker_unavailable"
        screen = Screen()
        await server.open(ExecTarget(("echo", "here"), None, 5), screen)
        await until(lambda: screen.exit is not None)
        assert screen.output == b"here\n"
    finally:
        await agent.stop()


@pytest_twisted.ensureDeferred
async def test_a_refused_enrolment_ends_the_agent(agent: Agent, server: DeviceServer) -> None:
    server.enrolment.refuse = EdgetainerError("token_used", "It was used on another device.")
    agent.start()
    await until(lambda: agent.failures)
    assert agent.failures[0].code == "token_used"
    assert agent.token_file.exists()


@pytest_twisted.ensureDeferred
async def test_stopped_while_it_enrols(agent: Agent, server: DeviceServer) -> None:
    server.enrolment.failures = 1_000
    agent.start()
    await until(lambda: server.enrolment.requests)
    await agent.stop()
    assert agent.failures == []
    agent.token_file.unlink()
    agent.start()
    await until(lambda: agent.failures)
    assert agent.failures[0].field == "token_file"
