"""Compose files from outside: what is in them, and who may run them.

`parse` reads a file without trusting it and lists what the rest of the product
needs: services, images, container ports. It refuses what would make the device
read other files or fetch from elsewhere (`include`, `extends`, `build`,
`env_file`, URLs), and lists as `privileges` what would let a container reach
the host. The rule for privileges is deny by default: a service may use the keys
in `_CONFINED` freely; any other key, known or still to be invented by Docker
Compose, is a privilege. Whoever calls decides who may have privileges.

The server parses at upload; the device parses again before it runs anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from edgetainer.domain import yaml
from edgetainer.domain.compose_ports import Port as Port
from edgetainer.domain.compose_ports import parse_expose, parse_ports
from edgetainer.errors import EdgetainerError

MAX_SERVICES = 64  # one computer runs a handful; keeps every list of them short
MAX_NAME = 63  # characters: a service's name becomes a DNS label on its network

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}\Z")
_IMAGE = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._/:@${}+-]{0,511}\Z")

# Keys that make Docker Compose read or fetch something besides this file, or
# start a program on the host. Nobody may use them.
_REFUSED_TOP = frozenset({"include", "models"})
_REFUSED = {
    "build": "images are pulled, not built, on a device",
    "develop": "images are pulled, not built, on a device",
    "env_file": "the file would be read on the device; write the variables out",
    "extends": "the other file would be read on the device; write the service out",
    "label_file": "the file would be read on the device; write the labels out",
    "provider": "it starts a program on the device's host",
    "credential_spec": "the file would be read on the device",
}
_TOP = frozenset({"configs", "name", "networks", "secrets", "services", "version", "volumes"})

# Keys whose values, whatever they are, keep a container confined.
_CONFINED = frozenset(
    """
    attach blkio_config cap_drop command configs container_name
    cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime
    cpu_shares cpus cpuset depends_on dns dns_opt dns_search domainname entrypoint
    environment expose extra_hosts healthcheck hostname image init isolation
    labels links mac_address mem_limit mem_reservation mem_swappiness
    memswap_limit networks pids_limit platform ports profiles pull_policy
    read_only restart scale secrets shm_size stdin_open stop_grace_period
    stop_signal storage_opt sysctls tmpfs tty ulimits user working_dir
    """.split()  # noqa: SIM905 -- one key a line would be sixty lines
)
# Relative names (`service:web`) stay inside the stack; `none` and `bridge` are
# plain Docker networks. Host and other containers' namespaces are not.
_NETWORK_MODE = re.compile(r"(none|bridge|service:[A-Za-z0-9._-]+)\Z")
# Drivers that write where the engine writes by itself. Others connect, from the
# host's own network and to its sockets, to whatever address their options name.
_LOG_DRIVERS = frozenset({"json-file", "local", "journald", "none"})
_SECURITY_OPT = frozenset({"no-new-privileges", "no-new-privileges:true"})
_SOCKET = re.compile(r"(docker|containerd|podman)\.sock")


@dataclass(frozen=True)
class Service:
    """One service of a compose file."""

    name: str
    image: str
    ports: tuple[Port, ...]


@dataclass(frozen=True)
class Privilege:
    """Something in the file that lets a container reach the host.

    :param path: where it stands, `services.web.volumes[0]` for instance.
    :param reason: what it gives the container, as part of a sentence.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Compose:
    """What a compose file asks for."""

    services: tuple[Service, ...]
    privileges: tuple[Privilege, ...]

    def service(self, name: str) -> Service | None:
        """The service called `name`, or None."""
        return next((service for service in self.services if service.name == name), None)

    def explain_privileges(self) -> str:
        """A sentence that names each privilege, for the one who is refused it."""
        shown = [f"{p.path} ({p.reason})" for p in self.privileges[:5]]
        more = len(self.privileges) - len(shown)
        return "; ".join(shown) + (f"; and {more} more" if more else "")


def parse(text: str) -> Compose:
    """Read a compose file.

    :raises EdgetainerError: `compose_invalid`; the detail and the field name
        the path of what is wrong.
    """
    document = _mapping(yaml.read(text, code="compose_invalid", field="compose"), "")
    for key in document:
        if key in _REFUSED_TOP:
            raise _refuse(key, "is not accepted: a device runs one file that stands alone")
        if key not in _TOP and not key.startswith("x-"):
            raise _refuse(key, "is not a known part of a compose file")
    if "services" not in document:
        raise _refuse("services", "is missing; list at least one service")
    bodies = _mapping(document["services"], "services")
    if not bodies:
        raise _refuse("services", "is empty; list at least one service")
    if len(bodies) > MAX_SERVICES:
        raise _refuse("services", f"lists {len(bodies)} services; at most {MAX_SERVICES} fit")
    privileges: list[Privilege] = []
    services = tuple(_service(name, body, privileges) for name, body in bodies.items())
    _check_networks(document.get("networks"), privileges)
    _check_volumes(document.get("volumes"), privileges)
    for kind in ("configs", "secrets"):
        _check_files(kind, document.get(kind), privileges)
    return Compose(services=services, privileges=tuple(privileges))


def _service(name: str, body: object, privileges: list[Privilege]) -> Service:
    path = f"services.{name}"
    if not _NAME.match(name):
        raise _refuse(
            path,
            f"is not a usable name: letters, digits, '.', '_' and '-', at most {MAX_NAME}",
        )
    keys = _mapping(body, path)
    for key in keys:
        if key in _REFUSED:
            raise _refuse(f"{path}.{key}", f"is not accepted: {_REFUSED[key]}")
    image = keys.get("image")
    if image is None:
        raise _refuse(f"{path}.image", "is missing")
    if not isinstance(image, str) or "://" in image or not _IMAGE.match(image):
        raise _refuse(f"{path}.image", "is not an image name such as 'nginx:1.27'")
    for key, value in keys.items():
        _check_key(f"{path}.{key}", key, value, privileges)
    ports = parse_ports(keys.get("ports"), f"{path}.ports")
    exposed = parse_expose(keys.get("expose"), f"{path}.expose")
    return Service(name=name, image=image, ports=tuple(dict.fromkeys((*ports, *exposed))))


def _check_key(path: str, key: str, value: Any, privileges: list[Privilege]) -> None:
    # `${…}` is filled in on the device, so a value that holds one is never
    # known to be harmless: every test below passes only exact, harmless text.
    if key == "volumes":
        for number, item in enumerate(_sequence(value, path)):
            if reason := _mount(item, f"{path}[{number}]"):
                privileges.append(Privilege(f"{path}[{number}]", reason))
    elif key == "deploy":
        if "devices" in str(_mapping(value, path).get("resources")):
            privileges.append(Privilege(path, "reserves devices of the host"))
    elif key == "network_mode":
        if not (isinstance(value, str) and _NETWORK_MODE.match(value)):
            privileges.append(Privilege(path, "shares a network outside the stack"))
    elif key == "security_opt":
        if not set(map(str, _sequence(value, path))) <= _SECURITY_OPT:
            privileges.append(Privilege(path, "changes the container's confinement"))
    elif key == "logging":
        if _mapping(value or {}, path).get("driver", "local") not in _LOG_DRIVERS:
            privileges.append(Privilege(path, "sends its log from the host to elsewhere"))
    elif key == "privileged":
        if value is not False:
            privileges.append(Privilege(path, "gives the container the host's rights"))
    elif key not in _CONFINED and not key.startswith("x-"):
        privileges.append(Privilege(path, "may reach the host"))


def _mount(item: object, path: str) -> str | None:
    # Why a volume entry is a privilege, or None for named and anonymous ones.
    if isinstance(item, str):
        if _SOCKET.search(item):
            return "mounts the container engine's socket"
        source, colon, _target = item.partition(":")
        if "$" in item:
            return "mounts what a variable names, which may be the host's files"
        # A single letter is a drive to Docker Compose, on every system: it takes
        # `c:x/../../etc:/etc` for a path of the host.
        if colon and (not _NAME.match(source) or len(source) == 1 or "\\" in item):
            return "mounts the host's files"
        return None
    entry = _mapping(item, path)
    kind, source = entry.get("type", "volume"), entry.get("source", entry.get("src", "data"))
    if _SOCKET.search(str(source)):
        return "mounts the container engine's socket"
    if kind == "tmpfs":
        return None
    if kind != "volume" or not isinstance(source, str) or not _NAME.match(source):
        return "mounts the host's files"
    return None


def _check_networks(value: object, privileges: list[Privilege]) -> None:
    for name, body in _mapping(value or {}, "networks").items():
        path = f"networks.{name}"
        network = _mapping(body or {}, path)
        if network.get("driver", "bridge") != "bridge" or network.get("driver_opts"):
            privileges.append(Privilege(path, "uses the host's network devices"))
        elif network.get("external", False) is not False or "name" in network:
            privileges.append(Privilege(path, "joins a network outside the stack"))


def _check_volumes(value: object, privileges: list[Privilege]) -> None:
    for name, body in _mapping(value or {}, "volumes").items():
        path = f"volumes.{name}"
        volume = _mapping(body or {}, path)
        # The local driver's options can bind any folder of the host.
        if volume.get("driver", "local") != "local" or volume.get("driver_opts"):
            privileges.append(Privilege(path, "may mount the host's files"))
        elif volume.get("external", False) is not False or "name" in volume:
            privileges.append(Privilege(path, "uses a volume outside the stack"))


def _check_files(kind: str, value: object, privileges: list[Privilege]) -> None:
    for name, body in _mapping(value or {}, kind).items():
        entry = _mapping(body or {}, f"{kind}.{name}")
        for key in entry:
            if key != "content":
                privileges.append(
                    Privilege(f"{kind}.{name}.{key}", "is read from the device, not this file")
                )


def _mapping(value: object, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refuse(path, "must be a mapping")
    return value


def _sequence(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _refuse(path, "must be a list")
    return value


def _refuse(path: str, reason: str) -> EdgetainerError:
    return EdgetainerError(
        "compose_invalid", f"{path or 'The file'} {reason}.", field=path or "compose"
    )
