from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from edgetainer.errors import EdgetainerError
from edgetainer_agent.container import Container
from edgetainer_agent.docker import Docker
from edgetainer_agent.forward import Forwarder, reachable_address
from tests.agent.device_server import Lines
from tests.agent.test_service import until
from tests.docker import run_container

CONTAINER = Container(
    id="abc", name="et-1-shop-web-1", stack="shop", service="web", number=1, image="x",
    state="running", health=None, exit_code=None, ports=(), started_at="",
    network_mode="et-1-shop_default", addresses=("172.18.0.2",),
)  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_reaches_a_service_by_name_both_ways(
    agent_docker: Docker, docker_engine: Any, busybox_image: str
) -> None:
    container = run_container(
        docker_engine,
        busybox_image,
        ["nc", "-ll", "-p", "7000", "-e", "sh", "-c", "cat; echo over"],
        project=f"{agent_docker.prefix}shop",
        service="echo",
    )

    async def listening() -> bool:
        made = await agent_docker.call(
            lambda client: client.exec_create(container, ["grep", "-q", ":1B58 ", "/proc/net/tcp6"])
        )
        await agent_docker.call(lambda client: client.exec_start(made["Id"]))
        state = await agent_docker.call(lambda client: client.exec_inspect(made["Id"]))
        return bool(state["ExitCode"] == 0)

    while not await listening():
        await deferLater(reactor, 0.02)
    inside = await Forwarder(reactor=reactor, docker=agent_docker).open("echo", 7000)
    # A loopback connection plays the channel.
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
        Factory.forProtocol(lambda: inside)
    )
    address = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    lines = Lines()
    await connectProtocol(address, lines)
    sent = bytes(range(256)) * 4_096
    lines.transport.write(sent)  # type: ignore[union-attr]
    lines.transport.loseWriteConnection()  # type: ignore[union-attr]
    await until(lambda: lines.closed)
    # The end of one direction was passed on while the other went on.
    assert lines.received == sent + b"over\n"
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_refusals_have_their_codes(
    agent_docker: Docker, docker_engine: Any, busybox_image: str
) -> None:
    forwarder = Forwarder(reactor=reactor, docker=agent_docker)
    project = f"{agent_docker.prefix}shop"
    for service, command, options in (
        ("quiet", ["sleep", "60"], {}),
        ("over", ["true"], {}),
        ("exposed", ["sleep", "60"], {"network_mode": "host"}),
    ):
        container = run_container(
            docker_engine, busybox_image, command, project=project, service=service, **options
        )
        if service == "over":
            docker_engine.wait(container)
    for service, code in (
        ("quiet", "port_closed"),
        ("over", "container_not_running"),
        ("exposed", "service_not_exposed"),
        ("none", "container_not_found"),
    ):
        with pytest.raises(EdgetainerError) as caught:
            await forwarder.open(service, 7000)
        assert caught.value.code == code
        assert service in caught.value.detail


def test_only_addresses_of_its_own_are_dialled() -> None:
    assert reachable_address(CONTAINER) == "172.18.0.2"
    both = replace(CONTAINER, addresses=("fd00::2", "10.0.0.2"))
    assert reachable_address(both) == "10.0.0.2"
    assert reachable_address(replace(CONTAINER, addresses=("fd00::2",))) == "fd00::2"
    for address in ("127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "0.0.0.0",
                    "224.0.0.1", "::ffff:127.0.0.1"):  # fmt: skip
        with pytest.raises(EdgetainerError) as caught:
            reachable_address(replace(CONTAINER, addresses=(address,)))
        assert caught.value.code == "service_not_exposed"
    for change in ({"network_mode": "host"}, {"addresses": ()}):
        with pytest.raises(EdgetainerError):
            reachable_address(replace(CONTAINER, **change))
