"""A ticket is good once, for a while, and for nobody who guesses."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from edgetainer.errors import EdgetainerError
from edgetainer.services.tickets import MOST, MOST_EACH, Tickets


def redeemable(tickets: Tickets[str], ticket: str) -> bool:
    try:
        tickets.redeem(ticket)
    except EdgetainerError as error:
        return error.code != "ticket_invalid"
    return True


def test_a_ticket_is_good_once() -> None:
    tickets: Tickets[str] = Tickets(clock=Clock(), lifetime_s=30)
    ticket = tickets.issue("value", owner="me")
    assert len(ticket) >= 43
    assert tickets.redeem(ticket) == "value"
    assert not redeemable(tickets, ticket)


@pytest.mark.parametrize(("waited", "good"), [(29.9, True), (30.0, False), (31.0, False)])
def test_a_ticket_is_good_for_its_lifetime(waited: float, good: bool) -> None:
    clock = Clock()
    tickets: Tickets[str] = Tickets(clock=clock, lifetime_s=30)
    ticket = tickets.issue("value", owner="me")
    clock.advance(waited)
    assert redeemable(tickets, ticket) is good


@pytest.mark.parametrize("guess", ["", "x", "\udc80", "a" * 100_000])
def test_a_guess_is_no_ticket(guess: str) -> None:
    tickets: Tickets[str] = Tickets(clock=Clock(), lifetime_s=30)
    tickets.issue("value", owner="me")
    assert not redeemable(tickets, guess)


def test_unused_tickets_are_bounded_and_forgotten() -> None:
    clock = Clock()
    tickets: Tickets[str] = Tickets(clock=clock, lifetime_s=30)
    first = tickets.issue("value", owner="me")
    issued = [tickets.issue("value", owner=str(n)) for n in range(MOST)]
    assert len(tickets._values) == MOST
    assert not redeemable(tickets, first)
    assert redeemable(tickets, issued[-1])
    clock.advance(31)
    tickets.issue("value", owner="me")
    assert len(tickets._values) == len(tickets._held) == 1


def test_who_asks_all_the_time_pushes_out_nobody_elses() -> None:
    tickets: Tickets[str] = Tickets(clock=Clock(), lifetime_s=30)
    mine = tickets.issue("value", owner="me")
    theirs = [tickets.issue("value", owner="other") for _ in range(2 * MOST_EACH)]
    assert len(tickets._values) == MOST_EACH + 1
    assert not redeemable(tickets, theirs[MOST_EACH - 1])
    assert all(redeemable(tickets, ticket) for ticket in theirs[MOST_EACH:])
    assert redeemable(tickets, mine)
    assert not tickets._held


def test_the_ticket_itself_is_not_kept() -> None:
    tickets: Tickets[str] = Tickets(clock=Clock(), lifetime_s=30)
    ticket = tickets.issue("value", owner="me")
    assert ticket not in repr(vars(tickets))
