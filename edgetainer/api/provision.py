"""Enrolment tokens, and the one route that a device uses before it is one."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgetainer.api.paging import Page, listed
from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import Document, Id, Line, Prose, Schema, Text, bounded
from edgetainer.services.authority import CSR_LIMIT
from edgetainer.services.enrolment import Enrolment, Hello

# Seconds that a token may live: a year, for images that are made ahead.
LONGEST_S = 366 * 24 * 3600


class NewToken(Schema):
    """An enrolment token to create, for a fleet or for one expected device."""

    fleet_id: Id | None = None
    device_id: Id | None = None
    uses: Annotated[int, Meta(ge=1, le=100_000)] = 1
    expires_in_s: Annotated[int, Meta(ge=1, le=LONGEST_S)] = 3600
    description: Prose | None = None


class Registration(Schema):
    """A device that wants to be one of ours."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]
    # Longer ones are refused by the service, which can say why.
    csr: Annotated[str, Meta(min_length=1, max_length=2 * CSR_LIMIT)]
    hostname: Line
    os_version: Text | None = None
    agent_version: Text | None = None
    hardware_info: Document | None = None


def add_routes(routes: Routes, *, enrolment: Enrolment) -> None:
    """Add the routes below `/api/provision`."""

    @routes.post("/api/provision/tokens", "provision.tokens", body=NewToken, status=201)
    async def create_token(call: Call) -> dict[str, Any]:
        body: NewToken = call.body
        token, text = await enrolment.create_token(
            call.user,
            uses=body.uses,
            expires_in=timedelta(seconds=body.expires_in_s),
            fleet_id=body.fleet_id,
            device_id=body.device_id,
            description=body.description,
        )
        return {**msgspec.to_builtins(vars(token)), "token": text}

    @routes.get("/api/provision/tokens", "provision.tokens", query=Page)
    async def list_tokens(call: Call) -> dict[str, Any]:
        page: Page = call.query
        found, total = await enrolment.tokens(call.user, limit=page.limit, offset=page.cursor)
        return listed(found, total, page)

    @routes.delete("/api/provision/tokens/<uuid:token_id>", "provision.tokens")
    async def delete_token(call: Call, token_id: str) -> None:
        await enrolment.remove_token(call.user, token_id)

    @routes.post("/api/provision/register", "provision.register", body=Registration)
    async def register(call: Call) -> dict[str, Any]:
        body: Registration = call.body
        enrolled = await enrolment.register(
            body.token,
            body.csr,
            Hello(
                hostname=body.hostname,
                os_version=body.os_version,
                agent_version=body.agent_version,
                hardware_info=bounded(body.hardware_info, "hardware_info"),
            ),
            address=call.address,
        )
        return {
            "device_id": enrolled.device_id,
            "certificate": enrolled.certificate,
            "ca": enrolled.ca,
            "tunnel": {
                "addresses": enrolled.tunnel_addresses,
                "server_name": enrolled.tunnel_server_name,
            },
        }
