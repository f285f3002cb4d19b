"""The devices' heartbeat, over the tunnel only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgetainer.api.agent import MAX_CONTAINERS, Container, Told, builtins
from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import Document, Text, bounded
from edgetainer.services.agents import Agents
from edgetainer.services.presence import Presence

# Bytes: no disk is larger, and JSON numbers are exact up to here.
Bytes = Annotated[int, Meta(ge=0, le=2**53)]


class Metrics(Told):
    """The device's resources as it measures them; null where it cannot."""

    cpu_percent: Annotated[float, Meta(ge=0)] | None = None
    memory_used: Bytes | None = None
    memory_total: Bytes | None = None
    disk_used: Bytes | None = None
    disk_total: Bytes | None = None
    uptime_s: Annotated[float, Meta(ge=0)] | None = None
    load1: Annotated[float, Meta(ge=0)] | None = None


class Heartbeat(Told):
    """What a device says of itself now and then; absent is nothing said."""

    metrics: Metrics | None = None
    containers: Annotated[list[Container], Meta(max_length=MAX_CONTAINERS)] | None = None
    agent_version: Text | None = None
    os_version: Text | None = None
    hardware_info: Document | None = None
    revision: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


def add_routes(routes: Routes, *, presence: Presence, agents: Agents) -> None:
    """Add `POST /api/agent/heartbeat`."""

    @routes.post("/api/agent/heartbeat", "agent.report", body=Heartbeat)
    async def heartbeat(call: Call) -> dict[str, Any]:
        body: Heartbeat = call.body
        presence.heartbeat(
            call.device,
            address=call.address,
            metrics=None if body.metrics is None else msgspec.to_builtins(body.metrics),
            containers=builtins(body.containers),
            agent_version=body.agent_version,
            os_version=body.os_version,
            hardware_info=bounded(body.hardware_info, "hardware_info"),
            revision=body.revision,
        )
        return {"revision": await agents.revision(call.device)}
