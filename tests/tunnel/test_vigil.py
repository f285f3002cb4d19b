"""What a device does at which moment, on each kind of link."""

from __future__ import annotations

import pytest

from edgetainer.tunnel.keepalive import SAFE, Keepalive
from edgetainer.tunnel.vigil import PROMPT_S, SILENT_S, SLACK_S, Deed, Listening, Pinging


def test_on_a_standard_link_the_device_speaks_at_a_fixed_pace() -> None:
    vigil = Pinging(10.0, now=0.0)
    assert vigil.due(heard=0.0, sent=9.0) == 10.0
    assert vigil.turn(9.9, heard=9.0, survived=0.0) is Deed.NOTHING
    assert vigil.turn(10.0, heard=9.0, survived=0.0) is Deed.PING
    assert vigil.due(heard=10.1, sent=10.0) == 20.0


def test_on_a_standard_link_a_server_is_silent_after_two_keepalives() -> None:
    vigil = Pinging(10.0, now=0.0)
    vigil.turn(10.0, heard=5.0, survived=0.0)
    vigil.turn(20.0, heard=5.0, survived=0.0)
    assert vigil.due(heard=5.0, sent=20.0) == 25.0
    assert vigil.turn(25.0, heard=5.0, survived=0.0) is Deed.SEARCH


def waiting() -> tuple[Keepalive, Listening, float]:
    """A vigil that has seen nothing for its keepalive and the slack."""
    keepalive = Keepalive()
    vigil = Listening(keepalive)
    due = vigil.due(heard=100.0, sent=100.1)
    assert due == pytest.approx(100.1 + SAFE + SLACK_S)
    return keepalive, vigil, due


def test_on_a_metered_link_the_device_listens() -> None:
    keepalive, vigil, due = waiting()
    assert vigil.turn(due, heard=100.1 + SAFE, survived=SAFE) is Deed.NOTHING
    assert keepalive.seconds > SAFE
    assert vigil.due(heard=125.1, sent=125.1) == 125.1 + keepalive.seconds + SLACK_S


def test_a_server_that_was_not_heard_is_asked_and_its_prompt_answer_blames_the_network() -> None:
    keepalive, vigil, due = waiting()
    for _ in range(2):
        assert vigil.turn(due, heard=100.0, survived=0.0) is Deed.PING
        assert vigil.due(heard=100.0, sent=due) == due + SILENT_S
        assert vigil.turn(due + 0.1, heard=due + 0.1, survived=0.1) is Deed.NOTHING
        due = vigil.due(heard=100.0, sent=100.1)
    assert keepalive.seconds < SAFE


def test_a_late_answer_blames_an_outage_and_nobody() -> None:
    keepalive, vigil, due = waiting()
    for _ in range(5):
        assert vigil.turn(due, heard=100.0, survived=0.0) is Deed.PING
        late = due + PROMPT_S + 1
        assert vigil.turn(late, heard=late, survived=0.0) is Deed.NOTHING
        due = vigil.due(heard=100.0, sent=100.1)
    assert keepalive.seconds == SAFE


def test_a_server_that_does_not_answer_is_looked_for() -> None:
    _, vigil, due = waiting()
    assert vigil.turn(due, heard=100.0, survived=0.0) is Deed.PING
    assert vigil.turn(due + SILENT_S - 1, heard=100.0, survived=0.0) is Deed.NOTHING
    assert vigil.turn(due + SILENT_S, heard=100.0, survived=0.0) is Deed.SEARCH
    # Heard again later, it starts anew.
    assert vigil.due(heard=300.0, sent=300.0) == 300.0 + SAFE + SLACK_S
