"""How devices' connections fare."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from edgetainer.api.route import Call, Reply, Routes
from edgetainer.api.schemas import Schema
from edgetainer.services.insight import MAX_SECONDS, Insight


class NewRecord(Schema):
    """For how long to record."""

    seconds: Annotated[int, Meta(ge=1, le=MAX_SECONDS)]


def add_routes(routes: Routes, *, insight: Insight) -> None:
    """Add `…/session` and `…/qlog` of a device."""

    @routes.get("/api/devices/<uuid:device_id>/session", "devices.read")
    async def get_session(call: Call, device_id: str) -> Any:
        return await insight.session(call.user, device_id)

    @routes.post("/api/devices/<uuid:device_id>/qlog", "devices.record", body=NewRecord, status=202)
    async def record_device(call: Call, device_id: str) -> dict[str, Any]:
        await insight.record(call.user, device_id, call.body.seconds)
        return {"seconds": call.body.seconds}

    @routes.get("/api/devices/<uuid:device_id>/qlog", "devices.record")
    async def get_record(call: Call, device_id: str) -> Reply:
        name = f'attachment; filename="{device_id}.sqlog.gz"'
        return Reply(
            await insight.recorded(call.user, device_id),
            headers=[("content-disposition", name)],
            kind="application/gzip",
        )
