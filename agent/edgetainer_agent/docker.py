"""The device's Docker Engine, as far as this device's own stacks are concerned.

The docker package blocks, so every call runs on a small thread pool of its own
and brings back frozen values. Containers of other people on the same engine are
never seen: only Compose projects whose name carries this device's prefix.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import docker
import docker.errors
import requests
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from edgetainer.errors import EdgetainerError

T = TypeVar("T")

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
#: Seconds for one answer of the engine; a busy SD card makes it slow, not dead.
CALL_TIMEOUT_S = 30
#: Calls at one moment; the engine serialises most of them anyway.
POOL_THREADS = 4
#: More containers of our own than this are not reported.
MAX_CONTAINERS = 200
#: Ports of one container that are reported; an image may declare a wide range.
MAX_PORTS = 256
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


@dataclass(frozen=True)
class Port:
    """A port that a container's image or stack declares."""

    container_port: int
    protocol: str


@dataclass(frozen=True)
class Container:
    """One container of this device's stacks, as the engine saw it last."""

    id: str
    name: str
    stack: str
    service: str
    number: int
    image: str
    #: Docker's word: created, running, paused, restarting, exited, dead.
    state: str
    #: `healthy`, `unhealthy`, `starting`, or None without a health check.
    health: str | None
    exit_code: int | None
    ports: tuple[Port, ...]
    started_at: str
    network_mode: str
    #: Addresses on its own networks; none with the host's network.
    addresses: tuple[str, ...]
    #: Its restart policy has it run for ever: it is no job that may end.
    stays: bool = False

    def document(self) -> dict[str, Any]:
        """The container as the server's API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "stack": self.stack,
            "service": self.service,
            "image": self.image,
            "state": self.state,
            "status": self.status,
            "health": self.health,
            "exit_code": self.exit_code,
            "ports": [
                {"container_port": port.container_port, "protocol": port.protocol}
                for port in self.ports
            ],
        }

    @property
    def status(self) -> str:
        """A sentence for people."""
        if self.state == "exited":
            return f"Exited ({self.exit_code})"
        if self.state == "running":
            return f"Up since {self.started_at[:19]}Z" + (
                f" ({self.health})" if self.health else ""
            )
        return self.state.capitalize()


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
                found.append(self._read(client.inspect_container(summary["Id"])))
            except docker.errors.NotFound:
                continue  # it went away between the two questions
        return tuple(sorted(found, key=lambda one: (one.stack, one.service, one.number, one.name)))

    def _read(self, inspected: dict[str, Any]) -> Container:
        config, state = inspected["Config"], inspected["State"]
        network = inspected.get("NetworkSettings") or {}
        labels = config.get("Labels") or {}
        declared = {*(config.get("ExposedPorts") or {}), *(network.get("Ports") or {})}
        attached = (network.get("Networks") or {}).values()
        return Container(
            id=inspected["Id"],
            name=inspected["Name"].removeprefix("/"),
            stack=labels[PROJECT_LABEL].removeprefix(self.prefix),
            service=labels.get(SERVICE_LABEL, ""),
            number=_number(labels.get(NUMBER_LABEL, "")) or 0,
            image=config.get("Image", ""),
            state=state["Status"],
            health=(state.get("Health") or {}).get("Status"),
            exit_code=state["ExitCode"] if state["Status"] in ("exited", "dead") else None,
            ports=tuple(
                sorted(set(filter(None, map(_port, declared))), key=_port_order)[:MAX_PORTS]
            ),
            started_at=state.get("StartedAt", ""),
            network_mode=(inspected.get("HostConfig") or {}).get("NetworkMode", ""),
            addresses=tuple(
                address
                for one in attached
                for address in (one.get("IPAddress"), one.get("GlobalIPv6Address"))
                if address and _is_address(address)
            ),
            stays=_restart_policy(inspected) in ("always", "unless-stopped"),
        )


def _restart_policy(inspected: dict[str, Any]) -> str:
    policy = (inspected.get("HostConfig") or {}).get("RestartPolicy") or {}
    return str(policy.get("Name") or "no")


def _port(text: str) -> Port | None:
    text, _, protocol = text.partition("/")
    number = _number(text)
    return Port(number, protocol or "tcp") if number else None


def _number(text: str) -> int | None:
    # What an image or somebody's container says: other digits than ours, and
    # thousands of them, are digits too.
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        return None
    return int(text) if int(text) < 65_536 else None


def _port_order(port: Port) -> tuple[int, str]:
    return port.container_port, port.protocol


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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
