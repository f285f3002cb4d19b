"""The demo's stack: a web page from a locally made image, deployed like any other.

Only the image is made behind the server's back, in the Docker Engine of this
machine, because no registry may be needed; everything else goes through the API.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
import yaml

from edgetainer.cli import demo_image, demo_page
from edgetainer.cli.client import Client

SOFTWARE = "demo"
SERVICE = "web"
# Seconds that a container gets to end by itself; the page has nothing to save.
STOP_WITHIN_S = 2
DEFAULT_SOCKET = "/var/run/docker.sock"
# Importing an image of 40 MB on a slow disk.
ANSWER_WITHIN_S = 120
_PAGE_LIMIT = 200


class NoDocker(Exception):
    """No usable Docker Engine; the text says what is missing and what to do."""


def engine_socket() -> Path:
    """The Docker Engine's socket: DOCKER_HOST's, where that is one, or the usual.

    :raises NoDocker: DOCKER_HOST names an engine elsewhere, which this machine's
        agent does not manage.
    """
    host = os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    if not host.startswith("unix://"):
        raise NoDocker(f"DOCKER_HOST is {host}; the demo needs the engine of this machine")
    return Path(host.removeprefix("unix://"))


class Engine:
    """The Docker Engine of this machine."""

    def __init__(self, path: Path) -> None:
        try:
            self._client = docker.DockerClient(base_url=f"unix://{path}", timeout=ANSWER_WITHIN_S)
            self._client.ping()
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise NoDocker(_why_not(path)) from error

    def image(self) -> str:
        """The name of the demo's image, made first where the engine lacks it.

        :raises NoDocker: the image cannot be made here.
        """
        try:
            file_system = demo_image.root_file_system()
        except demo_image.CannotBuild as error:
            raise NoDocker(str(error)) from error
        tag = demo_image.tag_of(file_system)
        name = f"{demo_image.REPOSITORY}:{tag}"
        try:
            self._client.images.get(name)
        except docker.errors.ImageNotFound:
            self._client.api.import_image_from_data(
                file_system,
                repository=demo_image.REPOSITORY,
                tag=tag,
                changes=demo_image.configuration(),
            )
        return name

    def stop(self, container_ids: Iterable[str]) -> None:
        """Stop these containers; they stay, to be started again."""
        for container_id in container_ids:
            # One that someone removed meanwhile is stopped as well.
            with contextlib.suppress(docker.errors.NotFound):
                self._client.api.stop(container_id, timeout=STOP_WITHIN_S)


def _why_not(path: Path) -> str:
    """Why the engine at this socket cannot be used, and what to do about it."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        try:
            probe.connect(str(path))
        except PermissionError:
            return (
                f"you may not use the Docker Engine at {path}.\n"
                "Join the group that owns it (often `docker`), sign in anew and start again"
            )
    return f"no Docker Engine answers at {path}.\nInstall or start Docker and start again"


def compose_file(image: str) -> str:
    """The stack as a compose file."""
    service = {
        "image": image,
        "environment": {"GREETING": "Hello from the edge", "PLACE": "a device of yours"},
        "expose": [str(demo_page.PORT)],
        "read_only": True,
        "cap_drop": ["ALL"],
        "mem_limit": "64m",
        "restart": "unless-stopped",
        "stop_grace_period": f"{STOP_WITHIN_S}s",
    }
    return yaml.safe_dump({"services": {SERVICE: service}}, sort_keys=False)


def deploy(client: Client, device_id: str, compose: str) -> str:
    """Have the stack wanted on the device, uploading it where it is new.

    :returns: the id of the deployment.
    """
    version = hashlib.sha256(compose.encode()).hexdigest()[:12]
    software = find(client, f"/api/software?limit={_PAGE_LIMIT}", lambda it: it["name"] == SOFTWARE)
    if software is None or version not in versions(software):
        upload = {"name": SOFTWARE, "version": version, "compose": compose}
        software = client.ask("POST", "/api/software/upload", upload)
    wanted = find(
        client,
        f"/api/devices/{device_id}/deployments",
        lambda it: it["software_id"] == software["id"] and it["version"] == version,
    )
    if wanted is None:
        wanted = client.ask(
            "POST",
            f"/api/software/{software['id']}/deploy",
            {"device_id": device_id, "version": version},
        )
    return str(wanted["id"])


def expose(client: Client, device_id: str) -> None:
    """Open the page's port to outside visitors, where it is not open yet."""
    path = f"/api/devices/{device_id}/exposed-services"
    if find(client, path, lambda it: it["name"] == SERVICE) is None:
        client.ask(
            "POST",
            path,
            {
                "name": SERVICE,
                "container_name": SERVICE,
                "internal_port": demo_page.PORT,
                "protocol": "http",
                # A page for everyone to look at; other services ask for a sign-in.
                "auth_required": False,
            },
        )


def state_of(client: Client, device_id: str, deployment_id: str) -> tuple[str, str]:
    """The deployment's status on the device, and its detail."""
    found = find(
        client, f"/api/devices/{device_id}/deployments", lambda it: it["id"] == deployment_id
    )
    return ("pending", "") if found is None else (found["status"], found["detail"] or "")


def running(client: Client, device_id: str) -> list[str]:
    """The ids of the containers that the device reports as running."""
    items = client.ask("GET", f"/api/devices/{device_id}/containers")["items"]
    return [item["id"] for item in items if item["state"] == "running"]


def find(client: Client, path: str, matches: Callable[[Any], bool]) -> Any | None:
    """The first item of a list that matches."""
    items = client.ask("GET", path)["items"]
    return next((item for item in items if matches(item)), None)


def versions(software: dict[str, Any]) -> list[str]:
    """The version names of a software, listed as texts or as documents."""
    return [it if isinstance(it, str) else it["version"] for it in software["versions"]]
