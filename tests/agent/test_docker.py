from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import docker
import pytest
import pytest_twisted
from twisted.internet import reactor

from edgetainer.errors import EdgetainerError
from edgetainer_agent.container import PROJECT_LABEL, SERVICE_LABEL
from edgetainer_agent.docker import Docker, project_prefix
from tests.docker import run_container


@pytest_twisted.ensureDeferred
async def test_only_this_devices_stacks_are_seen(
    agent_docker: Docker, docker_engine: Any, busybox_image: str
) -> None:
    run_container(
        docker_engine,
        busybox_image,
        ["sleep", "60"],
        project=f"{agent_docker.prefix}shop",
        service="web",
    )
    stranger = project_prefix("another device")
    other = run_container(
        docker_engine, busybox_image, ["sleep", "60"], project=f"{stranger}shop", service="web"
    )
    try:
        (container,) = await agent_docker.containers()
        assert await agent_docker.containers("shop") == (container,)
        assert await agent_docker.containers("other") == ()
        document = container.document()
        assert document["stack"] == "shop"
        assert document["service"] == "web"
        assert document["image"] == busybox_image
        assert document["state"] == "running"
        assert document["health"] is None
        assert document["exit_code"] is None
        assert document["status"] == "Running"
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["started_at"])
        assert container.addresses
        assert (await agent_docker.running("web")).id == container.id
        assert (await agent_docker.running(container.name)).id == container.id
        assert (await agent_docker.running(container.id[:12])).id == container.id
        with pytest.raises(EdgetainerError) as caught:
            await agent_docker.running(other[:12])
        assert caught.value.code == "container_not_found"
    finally:
        docker_engine.remove_container(other, force=True)


@pytest_twisted.ensureDeferred
async def test_a_container_that_ended(
    agent_docker: Docker, docker_engine: Any, busybox_image: str
) -> None:
    container_id = run_container(
        docker_engine,
        busybox_image,
        ["sh", "-c", "echo last words; exit 9"],
        project=f"{agent_docker.prefix}shop",
        service="job",
    )
    docker_engine.wait(container_id)
    (container,) = await agent_docker.containers()
    assert (container.state, container.exit_code, container.status) == ("exited", 9, "Exited (9)")
    assert await agent_docker.last_lines(container, 20) == "last words"
    with pytest.raises(EdgetainerError) as caught:
        await agent_docker.running("job")
    assert caught.value.code == "container_not_running"


@pytest_twisted.ensureDeferred
async def test_no_engine_is_a_clear_error(tmp_path: Path) -> None:
    docker = Docker(reactor=reactor, socket=tmp_path / "none.sock", prefix="et-00000000-")
    docker.start()
    try:
        for _ in range(2):
            with pytest.raises(EdgetainerError) as caught:
                await docker.containers()
            assert caught.value.code == "docker_unavailable"
            assert "none.sock (No such file or directory)" in caught.value.detail
    finally:
        docker.stop()


@pytest_twisted.ensureDeferred
async def test_a_published_port_is_one_port(
    agent_docker: Docker, docker_engine: Any, busybox_image: str
) -> None:
    # The engine lists it for IPv4 and for IPv6, and the image may declare it too.
    created = docker_engine.create_container(
        busybox_image,
        ["sleep", "60"],
        ports=[8080, (53, "udp")],
        labels={PROJECT_LABEL: f"{agent_docker.prefix}shop", SERVICE_LABEL: "web"},
        host_config=docker_engine.create_host_config(
            init=True, port_bindings={8080: ("0.0.0.0", None)}
        ),
    )
    docker_engine.start(created["Id"])
    (container,) = await agent_docker.containers()
    assert container.document()["ports"] == [
        {"container_port": 53, "protocol": "udp"},
        {"container_port": 8080, "protocol": "tcp"},
    ]


@pytest_twisted.ensureDeferred
async def test_only_the_container_that_is_meant_is_inspected(
    agent_docker: Docker, docker_engine: Any, busybox_image: str, monkeypatch: Any
) -> None:
    ids = {
        service: run_container(
            docker_engine,
            busybox_image,
            ["sleep", "60"],
            project=f"{agent_docker.prefix}shop",
            service=service,
        )
        for service in ("web", "api", "db")
    }
    inspected: list[str] = []
    inspect = docker.APIClient.inspect_container

    def counted(client: Any, container: str) -> Any:
        inspected.append(container)
        return inspect(client, container)

    monkeypatch.setattr(docker.APIClient, "inspect_container", counted)
    assert (await agent_docker.running("api")).id == ids["api"]
    assert inspected == [ids["api"]]


@pytest_twisted.ensureDeferred
async def test_two_stacks_may_call_a_service_the_same(
    agent_docker: Docker, docker_engine: Any, busybox_image: str
) -> None:
    def run(stack: str, service: str, **more: Any) -> str:
        created = docker_engine.create_container(
            busybox_image,
            ["sleep", "60"],
            labels={PROJECT_LABEL: f"{agent_docker.prefix}{stack}", SERVICE_LABEL: service},
            host_config=docker_engine.create_host_config(init=True),
            **more,
        )
        docker_engine.start(created["Id"])
        return str(created["Id"])

    async def refused(name: str) -> str:
        with pytest.raises(EdgetainerError) as caught:
            await agent_docker.running(name)
        assert caught.value.code == "container_not_found"
        return caught.value.detail

    shop, blog = run("shop", "web"), run("blog", "web")
    assert (await agent_docker.running("shop/web")).id == shop
    assert (await agent_docker.running("blog/web")).id == blog
    assert await refused("web") == "web could be blog/web or shop/web; say which."
    await refused("shop/db")
    # Called like another's service, it does not get what is meant for that one.
    database = run("shop", "db-" + agent_docker.prefix)
    thief = run("thief", "x", name="db-" + agent_docker.prefix)
    assert "say which" in await refused("db-" + agent_docker.prefix)
    assert (await agent_docker.running(f"shop/db-{agent_docker.prefix}")).id == database
    assert (await agent_docker.running("thief/x")).id == thief
