from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import ControlTarget, ExecTarget, TcpTarget, TerminalTarget
from edgetainer.tunnel.splice import splice
from edgetainer_agent.docker import Docker
from edgetainer_agent.doors import AgentDoors
from edgetainer_agent.forward import Forwarder
from tests.agent.channels import Channel
from tests.docker import run_container

TERMINAL = TerminalTarget(container=None, columns=80, rows=24, command=("sleep", "60"))
COMMAND = ExecTarget(argv=("sleep", "60"), container=None, timeout_s=60)


class Slow(Forwarder):
    """A forwarder whose connections come when the test wants."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[Any]] = []

    async def open(self, service: str, port: int) -> Any:
        waiting: Deferred[Any] = Deferred()
        self.waiting.append(waiting)
        return await waiting


def doors(docker: Docker, forwarder: Any = None, **limits: int) -> AgentDoors:
    return AgentDoors(
        reactor=reactor,
        docker=docker,
        forwarder=forwarder or Forwarder(reactor=reactor, docker=docker),
        limits={"tcp": 2, "terminal": 1, "exec": 1} | limits,
        shell="/bin/sh",
    )


@pytest_twisted.ensureDeferred
async def test_each_purpose_has_its_limit_and_places_come_back(agent_docker: Docker) -> None:
    made = doors(agent_docker)
    terminal = Channel(reactor).connect(await made.open(TERMINAL))
    command = Channel(reactor).connect(await made.open(COMMAND))
    for target in (TERMINAL, COMMAND):
        with pytest.raises(EdgetainerError) as caught:
            await made.open(target)
        assert caught.value.code == "channel_limit"
    assert made.open_channels == {"terminal": 1, "exec": 1}
    terminal.drop()
    command.drop()
    assert made.open_channels == {}
    # A place is given back also where the door did not open, or for nobody.
    with pytest.raises(EdgetainerError):
        await made.open(ExecTarget(argv=("/no/such",), container=None, timeout_s=1))
    (await made.open(COMMAND)).connectionLost(Failure(ConnectionDone()))
    assert made.open_channels == {}


@pytest_twisted.ensureDeferred
async def test_only_what_is_exposed_is_dialled(agent_docker: Docker) -> None:
    forwarder = Slow()
    made = doors(agent_docker, forwarder)
    made.expose([("web", 8080)])
    for target in (TcpTarget("web", 8081), TcpTarget("db", 8080)):
        with pytest.raises(EdgetainerError) as caught:
            await made.open(target)
        assert caught.value.code == "service_not_exposed"
    assert forwarder.waiting == []
    opening = Deferred.fromCoroutine(made.open(TcpTarget("web", 8080)))
    half, _other = splice()
    forwarder.waiting.pop().callback(half)
    opened = await opening
    assert IHalfCloseableProtocol.providedBy(opened)
    assert made.open_channels == {"tcp": 1}
    made.expose([])
    with pytest.raises(EdgetainerError):
        await made.open(TcpTarget("web", 8080))


@pytest_twisted.ensureDeferred
async def test_the_limit_holds_while_doors_are_opening(agent_docker: Docker) -> None:
    forwarder = Slow()
    made = doors(agent_docker, forwarder)
    made.expose([("web", 8080)])
    opening = [Deferred.fromCoroutine(made.open(TcpTarget("web", 8080))) for _ in range(2)]
    with pytest.raises(EdgetainerError) as caught:
        await made.open(TcpTarget("web", 8080))
    assert caught.value.code == "channel_limit"
    for one in opening:
        one.cancel()
        with pytest.raises(CancelledError):
            await one
    assert made.open_channels == {}


@pytest_twisted.ensureDeferred
async def test_programs_in_containers(
    agent_docker: Docker, docker_engine: Any, busybox_image: str
) -> None:
    run_container(
        docker_engine,
        busybox_image,
        ["sleep", "60"],
        project=f"{agent_docker.prefix}shop",
        service="web",
    )
    made = doors(agent_docker)
    target = ExecTarget(argv=("cat", "/www/index.html"), container="web", timeout_s=10)
    command = Channel(reactor).connect(await made.open(target))
    assert (await command.until_exit()).code == 0
    assert command.output == b"hello from the container\n"
    terminal = Channel(reactor).connect(await made.open(TerminalTarget("web", 80, 24)))
    terminal.type_line("echo $0 in''side; exit")
    await terminal.until_exit()
    assert b"sh inside" in terminal.output
    with pytest.raises(EdgetainerError) as caught:
        await made.open(TerminalTarget("db", 80, 24))
    assert caught.value.code == "container_not_found"


@pytest_twisted.ensureDeferred
async def test_there_is_no_door_for_control(agent_docker: Docker) -> None:
    with pytest.raises(EdgetainerError) as caught:
        await doors(agent_docker, control=1).open(ControlTarget())
    assert caught.value.code == "channel_refused"
