"""Deployments as such, and as one device sees them."""

from __future__ import annotations

from typing import Any

from edgetainer.api.paging import whole
from edgetainer.api.route import Call, Routes
from edgetainer.services.deployments import Deployments
from edgetainer.services.standing import device_document, document


def add_routes(routes: Routes, *, deployments: Deployments) -> None:
    """Add the routes of deployments; deploying itself is below `/api/software`."""

    @routes.get("/api/deployments/<uuid:deployment_id>", "deployments.read")
    async def get_deployment(call: Call, deployment_id: str) -> dict[str, Any]:
        return document(await deployments.get(call.user, deployment_id))

    @routes.delete("/api/deployments/<uuid:deployment_id>", "deployments.write")
    async def delete_deployment(call: Call, deployment_id: str) -> None:
        await deployments.remove(call.user, deployment_id)

    @routes.get("/api/devices/<uuid:device_id>/deployments", "deployments.read")
    async def list_device_deployments(call: Call, device_id: str) -> dict[str, Any]:
        found = await deployments.of_device(call.user, device_id)
        return whole([device_document(seen) for seen in found])
