"""Asking for what a WebSocket or a visit needs: tickets, terminals, hand-overs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.task import Clock

from edgetainer.api import hub, terminals, visits
from edgetainer.api.route import Routes
from edgetainer.api.site import Gate
from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.services.hub import HubTickets
from edgetainer.services.terminals import Requested
from tests.api.asking import exchange
from tests.hub.support import ADMIN, OPERATOR, VIEWER, People

DEVICE = "b0000000-0000-4000-8000-000000000001"
SIZE = {"device_id": DEVICE, "columns": 80, "rows": 24}


class Asked:
    """Stands for the services behind; what they do is told in their own tests."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    async def request(self, principal: Principal, **wanted: Any) -> Requested:
        demand(principal, "terminal.container" if wanted["container"] else "terminal.host")
        self.calls.append(wanted)
        return Requested("t1", "ticket-1")

    async def hand_over(self, principal: Principal, to: str) -> str:
        if "unknown" in to:
            raise EdgetainerError("host_unknown")
        return to + "?ticket=x"


class Api:
    def __init__(self) -> None:
        self.asked = Asked()
        self.tickets = HubTickets(standing=People().standing, clock=Clock())
        routes = Routes(authenticate=self._authenticate)
        hub.add_routes(routes, hub=self.tickets)
        terminals.add_routes(routes, terminals=self.asked)
        visits.add_routes(routes, visits=self.asked)
        self._gate = Gate(routes, authorities=["console"])

    async def _authenticate(self, token: str) -> Principal:
        people = {person.username: person for person in (ADMIN, OPERATOR, VIEWER)}
        if token not in people:
            raise EdgetainerError("unauthenticated")
        return people[token]

    def post(self, who: str | None, path: str, body: Any = None) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: console", f"Content-Length: {len(content)}"]
        if who is not None:
            lines.append(f"Authorization: Bearer {who}")
        if body is not None:
            lines.append("Content-Type: application/json")
        answer = exchange(self._gate, "\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        head, _, rest = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), json.loads(rest)


@pytest.fixture
def api() -> Api:
    return Api()


def test_a_ticket_for_the_hub_is_for_who_is_signed_in(api: Api) -> None:
    status, body = api.post("vera", "/api/hub/ticket")
    assert status == 200
    assert len(body["ticket"]) >= 43
    assert api.post(None, "/api/hub/ticket")[0] == 401
    assert api.post("nobody", "/api/hub/ticket")[0] == 401


def test_a_terminal_is_asked_for(api: Api) -> None:
    status, body = api.post("otto", "/api/terminals", {**SIZE, "container": "web"})
    assert (status, body) == (201, {"id": "t1", "ticket": "ticket-1"})
    (call,) = api.asked.calls
    assert call["device_id"] == DEVICE
    assert (call["container"], call["columns"], call["rows"]) == ("web", 80, 24)
    assert api.post("ada", "/api/terminals", SIZE)[0] == 201
    assert api.post("otto", "/api/terminals", SIZE)[0] == 403
    assert api.post("vera", "/api/terminals", {**SIZE, "container": "web"})[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**SIZE, "columns": 0},
        {**SIZE, "rows": 1001},
        {**SIZE, "rows": "24"},
        {**SIZE, "device_id": "1"},
        {**SIZE, "container": ""},
        {**SIZE, "command": "sh"},
    ],
)
def test_a_malformed_wish_for_a_terminal_is_refused(api: Api, body: dict[str, Any]) -> None:
    status, problem = api.post("ada", "/api/terminals", body)
    assert (status, problem["code"]) == (400, "invalid_field")
    assert api.asked.calls == []


def test_a_visitor_is_handed_over(api: Api) -> None:
    to = "https://web--kiosk.apps.example.com/"
    assert api.post("vera", "/api/visits", {"to": to}) == (200, {"redirect": f"{to}?ticket=x"})
    status, problem = api.post("vera", "/api/visits", {"to": "https://unknown/"})
    assert (status, problem["code"]) == (404, "host_unknown")
    assert api.post(None, "/api/visits", {"to": to})[0] == 401
    assert api.post("vera", "/api/visits", {"to": "x" * 8193})[0] == 400
