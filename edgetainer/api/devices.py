"""Devices as a whole; what runs on them has modules of its own."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from edgetainer.api.paging import Page, listed
from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import UNSET, Id, Line, Schema, UnsetType, given
from edgetainer.domain.presence import Status
from edgetainer.services.devices import Devices

Subdomain = Annotated[str, Meta(min_length=1, max_length=63)]


class DevicePage(Page):
    """Which devices."""

    fleet_id: Id | None = None
    status: Status | None = None


class NewDevice(Schema):
    """A device that is expected to enrol."""

    device_id: Line
    name: Line | None = None
    fleet_id: Id | None = None


class DeviceChange(Schema):
    """What to change of a device."""

    name: Line | UnsetType = UNSET
    subdomain: Subdomain | UnsetType = UNSET
    subdomain_enabled: bool | UnsetType = UNSET


class Move(Schema):
    """Where a device goes; null takes it out of every fleet."""

    fleet_id: Id | None


def add_routes(routes: Routes, *, devices: Devices) -> None:
    """Add the routes of devices as such."""

    @routes.get("/api/devices", "devices.read", query=DevicePage)
    async def list_devices(call: Call) -> dict[str, Any]:
        page: DevicePage = call.query
        found, total = await devices.page(
            call.user,
            limit=page.limit,
            offset=page.cursor,
            fleet_id=page.fleet_id,
            status=page.status,
        )
        return listed([devices.document(device) for device in found], total, page)

    @routes.post("/api/devices", "devices.create", body=NewDevice, status=201)
    async def create_device(call: Call) -> dict[str, Any]:
        body: NewDevice = call.body
        return devices.document(
            await devices.create(
                call.user,
                device_id=body.device_id,
                name=body.name or body.device_id,
                fleet_id=body.fleet_id,
            )
        )

    @routes.get("/api/devices/<uuid:device_id>", "devices.read")
    async def get_device(call: Call, device_id: str) -> dict[str, Any]:
        return devices.document(await devices.get(call.user, device_id))

    @routes.put("/api/devices/<uuid:device_id>", "devices.update", body=DeviceChange)
    async def update_device(call: Call, device_id: str) -> dict[str, Any]:
        return devices.document(await devices.update(call.user, device_id, given(call.body)))

    @routes.delete("/api/devices/<uuid:device_id>", "devices.delete")
    async def delete_device(call: Call, device_id: str) -> None:
        await devices.remove(call.user, device_id)

    @routes.post("/api/devices/<uuid:device_id>/move", "devices.move", body=Move)
    async def move_device(call: Call, device_id: str) -> dict[str, Any]:
        return devices.document(await devices.move(call.user, device_id, call.body.fleet_id))

    @routes.post("/api/devices/<uuid:device_id>/revoke", "devices.revoke", status=204)
    async def revoke_device(call: Call, device_id: str) -> None:
        await devices.revoke(call.user, device_id)

    @routes.get("/api/devices/<uuid:device_id>/status", "devices.read")
    async def get_status(call: Call, device_id: str) -> Any:
        return await devices.live_status(call.user, device_id)
