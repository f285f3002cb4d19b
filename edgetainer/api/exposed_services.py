"""Exposed services: the doors of a device to the outside."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from edgetainer.api.paging import whole
from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import UNSET, Schema, UnsetType, given
from edgetainer.services.exposures import Exposed, Exposures

Name = Annotated[str, Meta(min_length=1, max_length=63)]
Container = Annotated[str, Meta(min_length=1, max_length=255)]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]


class NewExposure(Schema):
    """A port of a container to give an address."""

    name: Name
    container_name: Container
    internal_port: PortNumber
    protocol: Literal["http"] = "http"
    external_port: None = None
    url_path: None = None
    auth_required: bool = True
    enabled: bool = True


class ExposureUpdate(Schema):
    """What is sent is changed."""

    name: Name | UnsetType = UNSET
    container_name: Container | UnsetType = UNSET
    internal_port: PortNumber | UnsetType = UNSET
    protocol: Literal["http"] | UnsetType = UNSET
    external_port: UnsetType | None = UNSET
    url_path: UnsetType | None = UNSET
    auth_required: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


_ALL = "/api/devices/<uuid:device_id>/exposed-services"
_ONE = f"{_ALL}/<uuid:service_id>"


def add_routes(routes: Routes, *, exposures: Exposures) -> None:
    """Add the routes below a device's `exposed-services`."""

    @routes.get(_ALL, "exposures.read")
    async def list_exposures(call: Call, device_id: str) -> dict[str, Any]:
        return whole([shown(found) for found in await exposures.of_device(call.user, device_id)])

    @routes.post(_ALL, "exposures.write", body=NewExposure, status=201)
    async def create_exposure(call: Call, device_id: str) -> dict[str, Any]:
        body: NewExposure = call.body
        made = await exposures.create(
            call.user,
            device_id,
            name=body.name,
            container_name=body.container_name,
            internal_port=body.internal_port,
            auth_required=body.auth_required,
            enabled=body.enabled,
        )
        return shown(made)

    @routes.get(_ONE, "exposures.read")
    async def get_exposure(call: Call, device_id: str, service_id: str) -> dict[str, Any]:
        return shown(await exposures.get(call.user, device_id, service_id))

    @routes.put(_ONE, "exposures.write", body=ExposureUpdate)
    async def update_exposure(call: Call, device_id: str, service_id: str) -> dict[str, Any]:
        changes = given(call.body)
        return shown(await exposures.update(call.user, device_id, service_id, changes))

    @routes.delete(_ONE, "exposures.write")
    async def delete_exposure(call: Call, device_id: str, service_id: str) -> None:
        await exposures.delete(call.user, device_id, service_id)

    @routes.post(f"{_ONE}/enable", "exposures.write")
    async def enable_exposure(call: Call, device_id: str, service_id: str) -> dict[str, Any]:
        changes = {"enabled": True}
        return shown(await exposures.update(call.user, device_id, service_id, changes))

    @routes.post(f"{_ONE}/disable", "exposures.write")
    async def disable_exposure(call: Call, device_id: str, service_id: str) -> dict[str, Any]:
        changes = {"enabled": False}
        return shown(await exposures.update(call.user, device_id, service_id, changes))


def shown(exposed: Exposed) -> dict[str, Any]:
    """The ExposedService document."""
    return {**vars(exposed.service), "url": exposed.url}
