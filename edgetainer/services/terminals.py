"""Terminals: who may have one, on what, and what is written down about it.

The REST call asks (`request`), the browser's WebSocket then shows the ticket
and is connected (`connect`). Permission is decided at both moments by the same
rule, because rights may have gone between them; the audit learns of the opening
and of the end with the bytes that went each way, never of their content.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast
from uuid import uuid4

from sqlalchemy import Connection
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)

from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.services.tickets import Tickets
from edgetainer.storage import audit
from edgetainer.storage.database import Database
from edgetainer.tunnel.messages import Target, TerminalTarget

#: Seconds from asking for a terminal to connecting to it.
TICKET_S = 30.0

#: The principal as it stands now; raises EdgetainerError when signed out or disabled.
Standing = Callable[[Principal], Awaitable[Principal]]
#: Raises `not_found` when there is no such device.
CheckDevice = Callable[[Principal, str], Awaitable[object]]


class Board(Protocol):
    """What is needed of the switchboard."""

    def endpoint(self, device_id: str, target: Target) -> IStreamClientEndpoint:
        """The way to a target on a device."""

    def online(self) -> frozenset[str]:
        """The devices with a session."""


@dataclass(frozen=True)
class Terminal:
    """A terminal that was allowed, by whom and to what."""

    id: str
    principal: Principal
    device_id: str
    target: TerminalTarget
    address: str


@dataclass(frozen=True)
class Requested:
    """The answer to a request: what the WebSocket has to show."""

    id: str
    ticket: str


class Terminals:
    """Terminals on devices and in their containers."""

    def __init__(
        self,
        *,
        database: Database,
        switchboard: Board,
        standing: Standing,
        check_device: CheckDevice,
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._switchboard = switchboard
        self._standing = standing
        self._check_device = check_device
        self._now = now
        self._tickets: Tickets[Terminal] = Tickets(clock=clock, lifetime_s=TICKET_S)

    async def request(
        self,
        principal: Principal,
        *,
        device_id: str,
        container: str | None,
        columns: int,
        rows: int,
        address: str,
    ) -> Requested:
        """Ask for a terminal; the ticket holds for `TICKET_S` seconds.

        :param container: a service's name, or None for the device itself.
        :param address: where the person is, for the audit.
        :raises EdgetainerError: ``forbidden``, ``not_found``, ``device_offline``
            or ``invalid_field``.
        """
        demand(principal, _action(container))
        target = TerminalTarget(container=container, columns=columns, rows=rows)
        await self._check_device(principal, device_id)
        if device_id not in self._switchboard.online():
            raise EdgetainerError("device_offline", "The device is offline; no terminal opens.")
        terminal = Terminal(str(uuid4()), principal, device_id, target, address)
        ticket = self._tickets.issue(terminal, owner=principal.user_id)
        return Requested(terminal.id, ticket)

    async def redeem(self, ticket: str) -> Terminal:
        """The terminal that a ticket stands for.

        :raises EdgetainerError: ``ticket_invalid``, or what `check` raises.
        """
        terminal = self._tickets.redeem(ticket)
        await self.check(terminal)
        return terminal

    async def check(self, terminal: Terminal) -> None:
        """Raise EdgetainerError when its owner may not have it (any more)."""
        demand(await self._standing(terminal.principal), _action(terminal.target.container))

    async def connect(self, terminal: Terminal, factory: IProtocolFactory) -> IProtocol:
        """Connect to the device; the factory's protocol speaks terminal frames.

        :raises EdgetainerError: the device's refusal, or that it is offline;
            ``unavailable`` when it cannot be written down.
        """
        # Written first: nobody has a shell of which the audit knows nothing.
        await self._write_down(terminal, "terminal.opened", {})
        endpoint = self._switchboard.endpoint(terminal.device_id, terminal.target)
        try:
            protocol = await endpoint.connect(factory)
        except EdgetainerError as error:
            await self._write_down(terminal, "terminal.refused", {"why": error.code})
            raise
        return cast(IProtocol, protocol)

    async def closed(
        self, terminal: Terminal, *, seconds: float, typed: int, shown: int, why: str
    ) -> None:
        """Write down the end of a terminal that was connected.

        :param typed: bytes towards the device. :param shown: bytes from it.
        :param why: ``exit``, ``left`` or the code of an error.
        """
        detail = {"seconds": round(seconds, 1), "typed": typed, "shown": shown, "why": why}
        await self._write_down(terminal, "terminal.closed", detail)

    async def _write_down(self, terminal: Terminal, action: str, detail: dict[str, object]) -> None:
        now = self._now()

        def append(connection: Connection) -> None:
            audit.append(
                connection,
                terminal.principal,
                action,
                target=("device", terminal.device_id),
                detail={
                    "terminal": terminal.id,
                    "container": terminal.target.container,
                    **detail,
                },
                address=terminal.address,
                now=now,
            )

        await self._database.run(append)


def _action(container: str | None) -> str:
    return "terminal.host" if container is None else "terminal.container"
