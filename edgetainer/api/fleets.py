"""Fleets."""

from __future__ import annotations

from typing import Any

from edgetainer.api.paging import Page, listed
from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import UNSET, Line, Prose, Schema, UnsetType, given
from edgetainer.services.devices import Devices
from edgetainer.services.fleets import Fleets


class NewFleet(Schema):
    """A fleet to create."""

    name: Line
    description: Prose | None = None


class FleetChange(Schema):
    """What to change of a fleet."""

    name: Line | UnsetType = UNSET
    description: Prose | UnsetType | None = UNSET


def add_routes(routes: Routes, *, fleets: Fleets, devices: Devices) -> None:
    """Add the routes below `/api/fleets`."""

    @routes.get("/api/fleets", "fleets.read", query=Page)
    async def list_fleets(call: Call) -> dict[str, Any]:
        page: Page = call.query
        found, total = await fleets.page(call.user, limit=page.limit, offset=page.cursor)
        return listed(found, total, page)

    @routes.post("/api/fleets", "fleets.write", body=NewFleet, status=201)
    async def create_fleet(call: Call) -> Any:
        body: NewFleet = call.body
        return await fleets.create(call.user, name=body.name, description=body.description)

    @routes.get("/api/fleets/<uuid:fleet_id>", "fleets.read")
    async def get_fleet(call: Call, fleet_id: str) -> Any:
        return await fleets.get(call.user, fleet_id)

    @routes.put("/api/fleets/<uuid:fleet_id>", "fleets.write", body=FleetChange)
    async def update_fleet(call: Call, fleet_id: str) -> Any:
        return await fleets.update(call.user, fleet_id, given(call.body))

    @routes.delete("/api/fleets/<uuid:fleet_id>", "fleets.delete")
    async def delete_fleet(call: Call, fleet_id: str) -> None:
        await fleets.remove(call.user, fleet_id)

    @routes.get("/api/fleets/<uuid:fleet_id>/devices", "devices.read", query=Page)
    async def list_fleet_devices(call: Call, fleet_id: str) -> dict[str, Any]:
        page: Page = call.query
        await fleets.get(call.user, fleet_id)
        found, total = await devices.page(
            call.user, limit=page.limit, offset=page.cursor, fleet_id=fleet_id
        )
        return listed([devices.document(device) for device in found], total, page)
