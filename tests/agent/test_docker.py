from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from edgetainer.errors import EdgetainerError
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
        assert document["status"].startswith("Up since 20")
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
            assert "none.sock" in caught.value.detail
    finally:
        docker.stop()
