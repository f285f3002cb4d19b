"""The device-facing API, over the tunnel only: a device asks and tells of itself.

What devices send may hold fields that this version does not know (the agent
may be newer than the server); those are ignored.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edgetainer.api.route import Call, Reply, Routes
from edgetainer.api.schemas import Id
from edgetainer.services.agents import Agents, Progress

# Characters. Docker's names are shorter; image references may hold a digest.
Name = Annotated[str, Meta(max_length=255)]
# UTC in whole seconds; browsers make relative times of it.
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Image = Annotated[str, Meta(max_length=1024)]
# Of one device: more than a small computer can run.
MAX_CONTAINERS = 512
MAX_DEPLOYMENTS = 256
MAX_PORTS = 256


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The base of what devices send."""


class Port(Told):
    """A port on which a container listens."""

    container_port: Annotated[int, Meta(ge=1, le=65535)]
    protocol: Annotated[str, Meta(max_length=8)] = "tcp"


class Container(Told):
    """A container as the device's engine lists it."""

    id: Name
    name: Name
    stack: Name | None = None
    service: Name | None = None
    image: Image = ""
    state: Name = ""
    status: Name = ""
    health: Name | None = None
    exit_code: int | None = None
    started_at: Moment | None = None
    ports: Annotated[list[Port], Meta(max_length=MAX_PORTS)] = []


class DeploymentStatus(Told):
    """How far the device has come with one deployment."""

    deployment_id: Id
    revision: Annotated[int, Meta(ge=0, lt=2**53)]
    status: Literal["updating", "deployed", "failed"]
    # Longer ones are cut by the service, not refused: the status must arrive.
    detail: str | None = None


class StatusReport(Told):
    """What changed on the device."""

    deployments: Annotated[list[DeploymentStatus], Meta(max_length=MAX_DEPLOYMENTS)] = []
    containers: Annotated[list[Container], Meta(max_length=MAX_CONTAINERS)] | None = None


def add_routes(routes: Routes, *, agents: Agents) -> None:
    """Add the routes below `/api/agent`."""

    @routes.get("/api/agent/software", "agent.read")
    async def get_agent_software(call: Call) -> Reply:
        assignment = await agents.software(call.device)
        stacks = [
            {
                "deployment_id": stack.deployment_id,
                "name": stack.name,
                "version": stack.version,
                "compose": stack.compose,
                "env": {},
            }
            for stack in assignment.stacks
        ]
        return _tagged({"revision": assignment.revision, "stacks": stacks})

    @routes.get("/api/agent/config", "agent.read")
    async def get_agent_config(call: Call) -> Reply:
        return _tagged(msgspec.to_builtins(await agents.configuration(call.device)))

    @routes.post("/api/agent/status", "agent.report", body=StatusReport)
    async def post_agent_status(call: Call) -> dict[str, Any]:
        body: StatusReport = call.body
        progress = [
            Progress(said.deployment_id, said.revision, said.status, said.detail)
            for said in body.deployments
        ]
        revision = await agents.report(call.device, progress, builtins(body.containers))
        return {"revision": revision}


def builtins(containers: list[Container] | None) -> list[dict[str, Any]] | None:
    """A list of containers as plain JSON, with the fields that are known here."""
    return None if containers is None else msgspec.to_builtins(containers)


def _tagged(data: dict[str, Any]) -> Reply:
    # The tag is of what is sent and not the revision: a setting of the server
    # changes the one without the other.
    tag = hashlib.sha256(msgspec.json.encode(data, order="sorted")).hexdigest()[:32]
    return Reply(data, etag=tag)
