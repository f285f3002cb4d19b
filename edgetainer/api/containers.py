"""The containers of a device."""

from __future__ import annotations

from typing import Any

from edgetainer.api.paging import whole
from edgetainer.api.route import Call, Routes
from edgetainer.services.containers import Containers


def add_routes(routes: Routes, *, containers: Containers) -> None:
    """Add the route below `/api/devices`."""

    @routes.get("/api/devices/<uuid:device_id>/containers", "devices.read")
    async def list_containers(call: Call, device_id: str) -> dict[str, Any]:
        found = await containers.of_device(call.user, device_id)
        return {**whole(found.items), "reported_at": found.reported_at}
