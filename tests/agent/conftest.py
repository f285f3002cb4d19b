"""What the agent's tests share: a real engine and a device of their own on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet import reactor

from edgetainer_agent.docker import Docker, project_prefix
from tests.docker import SOCKET, busybox_image, docker_engine, remove_projects

__all__ = ["agent_docker", "busybox_image", "device_id", "docker_engine"]


@pytest.fixture
def device_id() -> str:
    """A device that nobody else's test uses."""
    return str(uuid.uuid4())


@pytest.fixture
def agent_docker(docker_engine: Any, device_id: str) -> Iterator[Docker]:
    """The agent's view of the engine, as that device; its stacks are removed."""
    prefix = project_prefix(device_id)
    docker = Docker(reactor=reactor, socket=SOCKET, prefix=prefix)
    docker.start()
    yield docker
    docker.stop()
    remove_projects(docker_engine, prefix)
