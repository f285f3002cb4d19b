"""The port syntax of compose files, as far as the container's side goes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgetainer.errors import EdgetainerError

MAX_PORTS = 64  # per service, ranges spelled out: more cannot be shown or exposed
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
_PROTOCOLS = ("tcp", "udp", "sctp")


@dataclass(frozen=True)
class Port:
    """A port on which a container listens.

    :param container_port: 1 to 65535.
    :param protocol: "tcp", "udp" or "sctp".
    """

    container_port: int
    protocol: str = "tcp"


def parse_ports(value: object, path: str) -> list[Port]:
    """The container ports of a service's `ports`.

    Entries whose container port is left to a variable are not known here and
    are left out.

    :raises EdgetainerError: `compose_invalid`.
    """
    found: list[Port] = []
    for number, item in enumerate(_entries(value, path)):
        here = f"{path}[{number}]"
        if isinstance(item, dict):
            found += _spread(str(item.get("target", "")), str(item.get("protocol", "tcp")), here)
        elif isinstance(item, (str, int)) and not isinstance(item, bool):
            # [[address:]host:]container[/protocol]: the container's part is last.
            found += _short(str(item).rpartition(":")[2], here)
        else:
            raise _refuse(here, "is not a port such as '8080:80'")
        _bound(found, path)
    return found


def parse_expose(value: object, path: str) -> list[Port]:
    """The container ports of a service's `expose`.

    :raises EdgetainerError: `compose_invalid`.
    """
    found: list[Port] = []
    for number, item in enumerate(_entries(value, path)):
        found += _short(str(item), f"{path}[{number}]")
        _bound(found, path)
    return found


def _short(text: str, path: str) -> list[Port]:
    ports, _, protocol = text.partition("/")
    return _spread(ports, protocol or "tcp", path)


def _spread(text: str, protocol: str, path: str) -> list[Port]:
    if "$" in text or "}" in text or "$" in protocol:
        return []
    match = _RANGE.match(text)
    if match is None or protocol not in _PROTOCOLS:
        raise _refuse(path, "is not a port such as '8080:80' or '53/udp'")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= 65535:
        raise _refuse(path, "is outside 1 to 65535")
    if last - first >= MAX_PORTS:
        raise _refuse(path, f"spans more than {MAX_PORTS} ports")
    return [Port(number, protocol) for number in range(first, last + 1)]


def _entries(value: object, path: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _refuse(path, "must be a list")
    return value


def _bound(found: list[Port], path: str) -> None:
    if len(found) > MAX_PORTS:
        raise _refuse(path, f"lists more than {MAX_PORTS} ports")


def _refuse(path: str, reason: str) -> EdgetainerError:
    return EdgetainerError("compose_invalid", f"{path} {reason}.", field=path)
