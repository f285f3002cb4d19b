"""Letting a person who is signed in through to an exposed service."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import Schema
from edgetainer.services.visits import URL_LIMIT, Visits


class NewVisit(Schema):
    """The address that the person wants to see."""

    to: Annotated[str, Meta(min_length=1, max_length=URL_LIMIT)]


def add_routes(routes: Routes, *, visits: Visits) -> None:
    """Add them."""

    @routes.post("/api/visits", "exposures.visit", body=NewVisit)
    async def visit(call: Call) -> dict[str, str]:
        return {"redirect": await visits.hand_over(call.user, call.body.to)}
