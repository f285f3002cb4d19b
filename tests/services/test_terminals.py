"""Who may have a terminal, when, and what is written down about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from edgetainer.domain.access import Principal, Role
from edgetainer.errors import EdgetainerError
from edgetainer.services.terminals import Terminals
from edgetainer.storage import audit
from edgetainer.tunnel.messages import TerminalTarget
from tests import rows
from tests.databases import result
from tests.rows import NOW


class World:
    """Terminals on a real database; the switchboard knows one device."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.clock = Clock()
        self.device = rows.device(database)
        self.people: dict[str, Principal] = {}
        self.connected: list[tuple[str, Any]] = []
        self.is_online = True
        self.refusal: EdgetainerError | None = None
        self.terminals = Terminals(
            database=database,
            switchboard=self,
            standing=self.standing,
            check_device=self.check_device,
            clock=self.clock,
            now=lambda: NOW,
        )

    def person(self, role: Role) -> Principal:
        id_ = rows.user(self.database, role=role)
        self.people[id_] = Principal(id_, f"user-{id_}", role, "session")
        return self.people[id_]

    async def standing(self, principal: Principal) -> Principal:
        if principal.user_id not in self.people:
            raise EdgetainerError("session_expired")
        return self.people[principal.user_id]

    async def check_device(self, principal: Principal, device_id: str) -> None:
        if device_id != self.device:
            raise EdgetainerError("not_found")

    def online(self) -> frozenset[str]:
        return frozenset({self.device} if self.is_online else ())

    def endpoint(self, device_id: str, target: Any) -> Any:
        self.connected.append((device_id, target))
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        return fail(self.refusal) if self.refusal else succeed(factory)

    def request(self, who: Principal, container: str | None = "web", **changes: Any) -> Any:
        wanted = {"device_id": self.device, "columns": 80, "rows": 24, "address": "192.0.2.1"}
        return outcome(self.terminals.request(who, container=container, **{**wanted, **changes}))

    def written(self) -> list[audit.Entry]:
        return result(self.database.run(lambda c: audit.latest(c, limit=10)))


def outcome(coroutine: Any) -> Any:
    """The value, or the code of the EdgetainerError."""
    out: list[Any] = []
    Deferred.fromCoroutine(coroutine).addCallbacks(out.append, lambda f: out.append(f.value))
    (value,) = out
    if isinstance(value, EdgetainerError):
        return value.code
    if isinstance(value, BaseException):
        raise value
    return value


@pytest.fixture
def world(database: Any) -> World:
    return World(database)


def test_from_the_request_to_the_end(world: World) -> None:
    operator = world.person(Role.OPERATOR)
    requested = world.request(operator)
    assert world.written() == []
    terminal = outcome(world.terminals.redeem(requested.ticket))
    assert terminal.id == requested.id
    assert outcome(world.terminals.connect(terminal, "factory")) == "factory"
    assert world.connected == [(world.device, TerminalTarget("web", 80, 24))]
    outcome(world.terminals.closed(terminal, seconds=2.34, typed=3, shown=4, why="exit"))
    closed, opened = world.written()
    assert (opened.action, opened.detail) == (
        "terminal.opened",
        {"terminal": requested.id, "container": "web"},
    )
    assert closed.action == "terminal.closed"
    assert closed.detail == {
        "terminal": requested.id,
        "container": "web",
        "seconds": 2.3,
        "typed": 3,
        "shown": 4,
        "why": "exit",
    }
    for entry in (opened, closed):
        assert (entry.actor_id, entry.address) == (operator.user_id, "192.0.2.1")
        assert (entry.target_kind, entry.target_id) == ("device", world.device)


@pytest.mark.parametrize(
    ("role", "container", "allowed"),
    [
        (Role.VIEWER, "web", False),
        (Role.VIEWER, None, False),
        (Role.OPERATOR, "web", True),
        (Role.OPERATOR, None, False),
        (Role.ADMIN, "web", True),
        (Role.ADMIN, None, True),
    ],
)
def test_operators_enter_containers_and_admins_the_device(
    world: World, role: Role, container: str | None, allowed: bool
) -> None:
    answer = world.request(world.person(role), container)
    assert (answer != "forbidden") is allowed


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"device_id": "00000000-0000-4000-8000-000000000000"}, "not_found"),
        ({"columns": 0}, "invalid_field"),
        ({"rows": 1001}, "invalid_field"),
        ({"container": "../etc"}, "invalid_field"),
        ({"container": ""}, "invalid_field"),
    ],
)
def test_what_is_not_there_is_told(world: World, changes: dict[str, Any], code: str) -> None:
    assert world.request(world.person(Role.OPERATOR), **changes) == code


def test_a_device_that_is_offline_is_told_before_a_ticket_is_issued(world: World) -> None:
    world.is_online = False
    assert world.request(world.person(Role.OPERATOR)) == "device_offline"


def test_a_ticket_is_good_once_and_for_thirty_seconds(world: World) -> None:
    operator = world.person(Role.OPERATOR)
    ticket = world.request(operator).ticket
    outcome(world.terminals.redeem(ticket))
    assert outcome(world.terminals.redeem(ticket)) == "ticket_invalid"
    late = world.request(operator).ticket
    world.clock.advance(30)
    assert outcome(world.terminals.redeem(late)) == "ticket_invalid"


def test_rights_that_went_meanwhile_are_gone(world: World) -> None:
    admin = world.person(Role.ADMIN)
    first, second = world.request(admin, None).ticket, world.request(admin, None).ticket
    world.people[admin.user_id] = replace(admin, role=Role.OPERATOR)
    assert outcome(world.terminals.redeem(first)) == "forbidden"
    del world.people[admin.user_id]
    assert outcome(world.terminals.redeem(second)) == "session_expired"
    terminal = outcome(world.terminals.redeem(world.request(world.person(Role.ADMIN)).ticket))
    del world.people[terminal.principal.user_id]
    assert outcome(world.terminals.check(terminal)) == "session_expired"


def test_a_device_that_refuses_is_told_and_written_down(world: World) -> None:
    world.refusal = EdgetainerError("container_not_found")
    ticket = world.request(world.person(Role.OPERATOR)).ticket
    terminal = outcome(world.terminals.redeem(ticket))
    assert outcome(world.terminals.connect(terminal, "factory")) == "container_not_found"
    refused, opened = world.written()
    assert opened.action == "terminal.opened"
    assert (refused.action, refused.detail) == (
        "terminal.refused",
        {"terminal": terminal.id, "container": "web", "why": "container_not_found"},
    )


def test_no_terminal_opens_that_cannot_be_written_down(world: World) -> None:
    terminal = outcome(world.terminals.redeem(world.request(world.person(Role.OPERATOR)).ticket))

    class Away:
        def run(self, fn: Any) -> Any:
            raise EdgetainerError("unavailable")

    world.terminals._database = Away()
    assert outcome(world.terminals.connect(terminal, "factory")) == "unavailable"
    assert world.connected == []
