"""The devices' heartbeat, over the tunnel only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgetainer.api.agent import MAX_CONTAINERS, Container, Told, builtins
from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import UNSET, Document, Text, UnsetType, bounded
from edgetainer.services.agents import Agents
from edgetainer.services.presence import Presence

# Bytes: no disk is larger, and JSON numbers are exact up to here.
Bytes = Annotated[int, Meta(ge=0, le=2**53)]


class Metrics(Told):
    """The device's resources as it measures them.

    Null where it cannot; absent is as it was told last.
    """

    cpu_percent: Annotated[float, Meta(ge=0)] | UnsetType | None = UNSET
    memory_used: Bytes | UnsetType | None = UNSET
    memory_total: Bytes | UnsetType | None = UNSET
    disk_used: Bytes | UnsetType | None = UNSET
    disk_total: Bytes | UnsetType | None = UNSET
    uptime_s: Annotated[float, Meta(ge=0)] | UnsetType | None = UNSET
    load1: Annotated[float, Meta(ge=0)] | UnsetType | None = UNSET


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
