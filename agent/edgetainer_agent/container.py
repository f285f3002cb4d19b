"""A container as the engine tells of it, read without trusting its image."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
#: Ports of one container that are reported; an image may declare a wide range.
MAX_PORTS = 256
#: How the engine begins a moment; fractions of a second follow.
_STARTED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


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

    @classmethod
    def read(cls, inspected: dict[str, Any], prefix: str) -> Container:
        """From what the engine says of one of this device's containers.

        :param prefix: of this device's projects; what follows is the stack.
        """
        config, state = inspected["Config"], inspected["State"]
        network = inspected.get("NetworkSettings") or {}
        labels = config.get("Labels") or {}
        declared = {*(config.get("ExposedPorts") or {}), *(network.get("Ports") or {})}
        attached = (network.get("Networks") or {}).values()
        return cls(
            id=inspected["Id"],
            name=inspected["Name"].removeprefix("/"),
            stack=labels[PROJECT_LABEL].removeprefix(prefix),
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
            "started_at": self.up_since,
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
        health = f" ({self.health})" if self.health else ""
        return self.state.capitalize() + health

    @property
    def up_since(self) -> str | None:
        """When it was started, in UTC (RFC 3339, whole seconds), while it runs."""
        if self.state != "running" or not _STARTED.match(self.started_at):
            return None
        return f"{self.started_at[:19]}Z"


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


def _restart_policy(inspected: dict[str, Any]) -> str:
    policy = (inspected.get("HostConfig") or {}).get("RestartPolicy") or {}
    return str(policy.get("Name") or "no")
