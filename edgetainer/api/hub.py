"""Tickets for the hub's WebSocket."""

from __future__ import annotations

from edgetainer.api.route import Call, Routes
from edgetainer.services.hub import HubTickets


def add_routes(routes: Routes, *, hub: HubTickets) -> None:
    """Add them."""

    @routes.post("/api/hub/ticket", "hub.connect")
    async def ticket(call: Call) -> dict[str, str]:
        return {"ticket": await hub.issue(call.user)}
