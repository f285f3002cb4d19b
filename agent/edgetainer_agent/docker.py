"""The device's Docker Engine, as far as this device's own stacks are concerned.

The docker package blocks, so every call runs on a small thread pool of its own
and brings back frozen values. Containers of other people on the same engine are
never seen: only Compose projects whose name carries this device's prefix.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import docker
import docker.errors
import requests
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from edgetainer.errors import EdgetainerError
from edgetainer_agent.container import PROJECT_LABEL, SERVICE_LABEL, Container

T = TypeVar("T")

#: Seconds for one answer of the engine; a busy SD card makes it slow, not dead.
CALL_TIMEOUT_S = 30
#: Calls at one moment; the engine serialises most of them anyway.
POOL_THREADS = 4
#: More containers of our own than this are not reported.
MAX_CONTAINERS = 200
#: Characters of a container's id that mean it, as Docker prints them.
MIN_ID = 12
#: Log text brought back for a report, bytes.
MAX_LOG_BYTES = 4 * 1024


def project_prefix(device_id: str) -> str:
    """What the names of this device's Compose projects begin with.

    The hash lets several agents share one engine, as demonstrations and tests
    do, without seeing each other's stacks.
    """
    return f"et-{hashlib.sha256(device_id.encode()).hexdigest()[:8]}-"


class Docker:
    """Calls to the engine; every method that asks it may raise
    `EdgetainerError` `docker_unavailable`.

    :param reactor: where the answers arrive.
    :param socket: the engine's Unix socket.
    :param prefix: of this device's projects; see `project_prefix`.
    """

    def __init__(self, *, reactor: Any, socket: Path, prefix: str) -> None:
        self._reactor = reactor
        self.socket = socket
        self.prefix = prefix
        self._pool = ThreadPool(0, POOL_THREADS, name="docker")
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None

    def start(self) -> None:
        """Start the threads."""
        self._pool.start()

    def stop(self) -> None:
        """Wait for running calls and end the threads."""
        self._pool.stop()
        if self._client is not None:
            self._client.close()
            self._client = None

    def call(self, function: Callable[[docker.APIClient], T]) -> Deferred[T]:
        """Run `function` with the low-level client on one of our threads."""
        return deferToThreadPool(self._reactor, self._pool, self._run, function)

    async def containers(self, stack: str | None = None) -> tuple[Container, ...]:
        """All containers of this device's stacks, or of one, by name."""
        project = "" if stack is None else f"={self.prefix}{stack}"
        return await self.call(
            lambda client: self._list(client, [PROJECT_LABEL + project], lambda _: True)
        )

    async def running(self, name: str) -> Container:
        """The container that `name` means.

        :param name: a container's name or id, `stack/service`, or a service that
            only one stack has.
        :raises EdgetainerError: `container_not_found`, also where it could mean
            several; `container_not_running`.
        """

        def means(summary: dict[str, Any]) -> bool:
            labels = summary["Labels"]
            service = labels.get(SERVICE_LABEL, "")
            stack = labels[PROJECT_LABEL].removeprefix(self.prefix)
            return (
                name in (service, f"{stack}/{service}")
                # Names with two slashes are other containers' links to this one.
                or ("/" not in name and f"/{name}" in (summary.get("Names") or ()))
                or (len(name) >= MIN_ID and summary["Id"].startswith(name))
            )

        # Only those are inspected: each connection of a visitor asks this.
        matches = await self.call(lambda client: self._list(client, [PROJECT_LABEL], means))
        if not matches:
            raise EdgetainerError(
                "container_not_found", f"No stack of this device has a container {name!r}."
            )
        meant = sorted({f"{container.stack}/{container.service}" for container in matches})
        if len(meant) > 1:
            # Not the first: whoever calls a container like another's service
            # would get its visitors.
            raise EdgetainerError(
                "container_not_found", f"{name} could be {' or '.join(meant)}; say which."
            )
        for container in matches:
            if container.state == "running":
                return container
        raise EdgetainerError(
            "container_not_running",
            f"The container {matches[0].name} is {matches[0].state}, not running.",
        )

    async def last_lines(self, container: Container, lines: int) -> str:
        """The end of a container's log, both streams, at most `MAX_LOG_BYTES`."""
        text = await self.call(
            lambda client: client.logs(container.id, stdout=True, stderr=True, tail=lines)
        )
        return text[-MAX_LOG_BYTES:].decode("utf-8", "replace").rstrip()

    def _run(self, function: Callable[[docker.APIClient], T]) -> T:
        try:
            return function(self._connected())
        except docker.errors.NotFound as error:
            raise EdgetainerError("container_not_found", _explain(error)) from error
        except docker.errors.APIError as error:
            if error.status_code == 409:
                raise EdgetainerError("container_not_running", _explain(error)) from error
            raise EdgetainerError("docker_unavailable", _explain(error)) from error
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise EdgetainerError(
                "docker_unavailable", f"No Docker Engine answers at {self.socket}{_cause(error)}."
            ) from error

    def _connected(self) -> docker.APIClient:
        with self._lock:
            if self._client is None:
                # The constructor asks for the engine's version, so it fails
                # here when there is no engine, and is tried again next time.
                self._client = docker.APIClient(
                    base_url=f"unix://{self.socket}", timeout=CALL_TIMEOUT_S
                )
            return self._client

    def _list(
        self,
        client: docker.APIClient,
        labels: list[str],
        wanted: Callable[[dict[str, Any]], bool],
    ) -> tuple[Container, ...]:
        found: list[Container] = []
        for summary in client.containers(all=True, filters={"label": labels}):
            if not (summary.get("Labels") or {}).get(PROJECT_LABEL, "").startswith(self.prefix):
                continue
            if not wanted(summary):
                continue
            if len(found) == MAX_CONTAINERS:
                break
            try:
                found.append(Container.read(client.inspect_container(summary["Id"]), self.prefix))
            except docker.errors.NotFound:
                continue  # it went away between the two questions
        return tuple(sorted(found, key=lambda one: (one.stack, one.service, one.number, one.name)))


def _cause(error: BaseException) -> str:
    """What the operating system said, which the layers above it bury."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            return f" ({found.strerror})"
        found = found.__cause__ or found.__context__
    return ""


def _explain(error: docker.errors.APIError) -> str:
    return str(error.explanation or error)[:500]
