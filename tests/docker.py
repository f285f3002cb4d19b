"""A real image, real containers and their removal, for tests with a Docker Engine.

No registry is reachable in tests, so images are made from a static busybox.
Everything has a unique name, so that several runs can share one engine.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

SOCKET = Path("/var/run/docker.sock")
BUSYBOX = Path("/bin/busybox")
#: What shells in tests use.
APPLETS = (
    "cat", "chmod", "cp", "date", "dd", "env", "false", "grep", "head",
    "hostname", "httpd", "id", "kill", "ls", "mkdir", "nc", "ps",
    "pwd", "rm", "sh", "sha256sum", "sleep", "stty", "tail", "tee",
    "test", "touch", "tr", "true", "tty", "wc", "yes",
)  # fmt: skip


def engine() -> docker.APIClient:
    """A client of the real engine; skips, or fails where `CI` is set, without one."""
    try:
        if not BUSYBOX.exists():
            raise FileNotFoundError(f"{BUSYBOX} (Debian's busybox-static) is missing")
        return docker.APIClient(base_url=f"unix://{SOCKET}", timeout=60)
    except (docker.errors.DockerException, OSError) as error:
        message = f"no Docker Engine with busybox: {error}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def make_image(client: docker.APIClient, files: dict[str, bytes] | None = None) -> str:
    """Import a busybox image, `files` added by absolute path; returns its unique name."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "www"):
            _add(tar, folder, kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        _add(tar, "bin/busybox", content=BUSYBOX.read_bytes(), mode=0o755)
        for applet in APPLETS:
            _add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        _add(tar, "etc/passwd", content=b"root:x:0:0:root:/:/bin/sh\n", mode=0o644)
        for path, content in (files or {}).items():
            _add(tar, path.lstrip("/"), content=content, mode=0o644)
    name = f"edgetainer-test-{secrets.token_hex(4)}"
    archive.seek(0)
    client.import_image_from_data(
        archive.getvalue(), repository=name, tag="1", changes=['CMD ["sleep", "3600"]']
    )
    return f"{name}:1"


def remove_image(client: docker.APIClient, image: str) -> None:
    """Remove an image and the containers that are still made from it."""
    for container in client.containers(all=True, filters={"ancestor": image}):
        with contextlib.suppress(docker.errors.NotFound):
            client.remove_container(container["Id"], force=True, v=True)
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.remove_image(image, force=True)


def remove_projects(client: docker.APIClient, prefix: str) -> None:
    """Remove the containers and networks of Compose projects by their names' beginning."""
    label = "com.docker.compose.project"
    for container in client.containers(all=True, filters={"label": label}):
        if container["Labels"][label].startswith(prefix):
            with contextlib.suppress(docker.errors.NotFound):
                client.remove_container(container["Id"], force=True, v=True)
    for network in client.networks(filters={"label": label}):
        if network["Labels"][label].startswith(prefix):
            with contextlib.suppress(docker.errors.NotFound):
                client.remove_network(network["Id"])


def run_container(
    client: docker.APIClient,
    image: str,
    command: list[str],
    *,
    project: str,
    service: str,
    **host_config: Any,
) -> str:
    """Start a container as Compose would label it; returns its id."""
    created = client.create_container(
        image,
        command,
        name=f"{project}-{service}-{secrets.token_hex(3)}",
        labels={
            "com.docker.compose.project": project,
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": "1",
        },
        host_config=client.create_host_config(init=True, **host_config),
    )
    client.start(created["Id"])
    return str(created["Id"])


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.APIClient]:
    """The engine, for a whole run."""
    client = engine()
    yield client
    client.close()


@pytest.fixture(scope="session")
def busybox_image(docker_engine: docker.APIClient) -> Iterator[str]:
    """A busybox image for a whole run, removed at its end."""
    image = make_image(docker_engine, {"/www/index.html": b"hello from the container\n"})
    yield image
    remove_image(docker_engine, image)


def _add(
    tar: tarfile.TarFile,
    path: str,
    *,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o777,
    link: str = "",
) -> None:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.linkname, entry.size = kind, mode, link, len(content)
    tar.addfile(entry, io.BytesIO(content))
