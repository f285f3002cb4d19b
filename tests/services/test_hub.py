"""Tickets of the hub are for people who are signed in, then and now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from edgetainer.domain.access import Role
from edgetainer.errors import EdgetainerError
from edgetainer.services.hub import TICKET_S, HubTickets
from tests.hub.support import OPERATOR, VIEWER, People


def outcome(coroutine: Any) -> Any:
    out: list[Any] = []
    Deferred.fromCoroutine(coroutine).addCallbacks(out.append, lambda f: out.append(f.value))
    (value,) = out
    return value.code if isinstance(value, EdgetainerError) else value


@pytest.fixture
def people() -> People:
    return People()


def test_a_ticket_brings_the_rights_of_now(people: People) -> None:
    tickets = HubTickets(standing=people.standing, clock=Clock())
    ticket = outcome(tickets.issue(OPERATOR))
    people.now[OPERATOR.user_id] = replace(OPERATOR, role=Role.VIEWER)
    assert outcome(tickets.redeem(ticket)).role is Role.VIEWER
    assert outcome(tickets.redeem(ticket)) == "ticket_invalid"


def test_a_ticket_ends_with_the_session_and_with_time(people: People) -> None:
    clock = Clock()
    tickets = HubTickets(standing=people.standing, clock=clock)
    ticket, late = outcome(tickets.issue(VIEWER)), outcome(tickets.issue(VIEWER))
    people.sign_out(VIEWER)
    assert outcome(tickets.redeem(ticket)) == "session_expired"
    clock.advance(TICKET_S)
    assert outcome(tickets.redeem(late)) == "ticket_invalid"
