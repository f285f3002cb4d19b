"""Asking for a terminal; the terminal itself is a WebSocket of the hub."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import Id, Schema
from edgetainer.services.terminals import Requested, Terminals
from edgetainer.tunnel.messages import MAX_CELLS

Cells = Annotated[int, Meta(ge=1, le=MAX_CELLS)]


class NewTerminal(Schema):
    """A terminal on a device (`container` null) or in one of its containers."""

    device_id: Id
    columns: Cells
    rows: Cells
    container: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


def add_routes(routes: Routes, *, terminals: Terminals) -> None:
    """Add them."""

    # Whoever may have none in a container may have none at all; the service
    # asks for more where the terminal is on the device itself.
    @routes.post("/api/terminals", "terminal.container", body=NewTerminal, status=201)
    async def request(call: Call) -> Requested:
        return await terminals.request(
            call.user,
            device_id=call.body.device_id,
            container=call.body.container,
            columns=call.body.columns,
            rows=call.body.rows,
            address=call.address,
        )
