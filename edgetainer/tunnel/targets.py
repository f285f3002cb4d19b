"""What a channel is opened to: the frozen value and its open header.

The constructors check every field, whether the value comes from our own code
or from a peer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edgetainer.errors import EdgetainerError
from edgetainer.quic.schedule import Priority
from edgetainer.tunnel.limits import MAX_CELLS, MAX_HEADER, MAX_TIMEOUT, VERSION
from edgetainer.tunnel.wire import (
    check_integer,
    check_number,
    check_text,
    dump_prefixed,
    load_object,
    printable,
)

_MAX_ARGUMENTS = 1_024
# A container's or a service's name; `stack/service` is one of two that are called the same.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)?")
_TERM = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")


@dataclass(frozen=True)
class TcpTarget:
    """A TCP port of a service on the device; raw bytes follow. Purpose "tcp"."""

    purpose: ClassVar[str] = "tcp"
    priority: ClassVar[Priority] = Priority.BULK
    service: str
    port: int

    def __post_init__(self) -> None:
        check_text("service", self.service, most=255, pattern=_NAME)
        check_integer("port", self.port, least=1, most=65_535)

    def _fields(self) -> dict[str, Any]:
        return {"service": self.service, "port": self.port}


@dataclass(frozen=True)
class TerminalTarget:
    """A program on a pseudo-terminal; frames follow. Purpose "terminal".

    `container` None is the device itself; an empty `command` is a login shell.
    """

    purpose: ClassVar[str] = "terminal"
    priority: ClassVar[Priority] = Priority.INTERACTIVE
    container: str | None
    columns: int
    rows: int
    term: str = "xterm-256color"
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_container(self.container)
        check_integer("columns", self.columns, least=1, most=MAX_CELLS)
        check_integer("rows", self.rows, least=1, most=MAX_CELLS)
        check_text("term", self.term, most=64, pattern=_TERM)
        _check_arguments("command", self.command, least=0)

    def _fields(self) -> dict[str, Any]:
        return {
            "container": self.container,
            "columns": self.columns,
            "rows": self.rows,
            "term": self.term,
            "command": list(self.command),
        }


@dataclass(frozen=True)
class ExecTarget:
    """A program without a terminal; frames follow. Purpose "exec".

    The device kills it after `timeout_s` seconds. `container` None is the
    device itself.
    """

    purpose: ClassVar[str] = "exec"
    priority: ClassVar[Priority] = Priority.INTERACTIVE
    argv: tuple[str, ...]
    container: str | None
    timeout_s: float

    def __post_init__(self) -> None:
        _check_arguments("argv", self.argv, least=1)
        _check_container(self.container)
        check_number("timeout_s", self.timeout_s, above=0, most=MAX_TIMEOUT)

    def _fields(self) -> dict[str, Any]:
        return {
            "argv": list(self.argv),
            "container": self.container,
            "timeout_s": self.timeout_s,
        }


@dataclass(frozen=True)
class ControlTarget:
    """The server's word to the agent itself, one a session; frames follow."""

    purpose: ClassVar[str] = "control"
    priority: ClassVar[Priority] = Priority.INTERACTIVE

    def _fields(self) -> dict[str, Any]:
        return {}


Target = TcpTarget | TerminalTarget | ExecTarget | ControlTarget


def encode_open(target: Target) -> bytes:
    """The open header for `target`, with its length before it.

    :raises EdgetainerError: ``invalid_field``, the target does not fit.
    """
    return dump_prefixed({"v": VERSION, "purpose": target.purpose, **target._fields()})


def parse_open(body: bytes) -> Target:
    """Read the body of an open header; fields that are not known are ignored.

    :raises EdgetainerError: ``protocol_violation`` or ``invalid_field`` for a
        wrong one, ``channel_refused`` for a version or purpose unknown here.
    """
    fields = load_object(body)
    version = check_integer("v", fields.get("v"), least=1, most=65_535)
    if version != VERSION:
        raise EdgetainerError("channel_refused", f"Version {version} of channels is not known.")
    purpose = check_text("purpose", fields.get("purpose"), most=64)
    if purpose == TcpTarget.purpose:
        return TcpTarget(service=fields.get("service", ""), port=fields.get("port", 0))
    if purpose == TerminalTarget.purpose:
        return TerminalTarget(
            container=fields.get("container"),
            columns=fields.get("columns", 0),
            rows=fields.get("rows", 0),
            term=fields.get("term", TerminalTarget.term),
            command=_arguments("command", fields.get("command", [])),
        )
    if purpose == ExecTarget.purpose:
        return ExecTarget(
            argv=_arguments("argv", fields.get("argv", [])),
            container=fields.get("container"),
            timeout_s=fields.get("timeout_s", 0),
        )
    if purpose == ControlTarget.purpose:
        return ControlTarget()
    raise EdgetainerError(
        "channel_refused", printable(f"Channels for {purpose!r} are not known here.")
    )


def _check_container(container: object) -> None:
    if container is not None:
        check_text("container", container, most=255, pattern=_NAME)


def _arguments(field: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise EdgetainerError("invalid_field", f"The field {field!r} must be a list.", field=field)
    return tuple(value)


def _check_arguments(field: str, arguments: Sequence[object], *, least: int) -> None:
    if not least <= len(arguments) <= _MAX_ARGUMENTS:
        raise EdgetainerError(
            "invalid_field",
            f"The field {field!r} must have {least} to {_MAX_ARGUMENTS} items.",
            field=field,
        )
    for index, argument in enumerate(arguments):
        # An empty argument is a good one: `test -z ""`.
        check_text(f"{field}.{index}", argument, least=0, most=MAX_HEADER)
