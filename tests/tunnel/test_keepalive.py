"""The search for the longest silence that a network forgives."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetainer.tunnel.keepalive import (
    CONFIRM,
    LEAST,
    MARGIN,
    MOST,
    RELEARN_S,
    SAFE,
    Bounds,
    Keepalive,
)

PATIENCE = st.floats(LEAST * 1.1, 2 * MOST)


@dataclass
class Learned:
    """How a search went."""

    keepalive: Keepalive
    took: float
    unreachable: float  # seconds, in all
    darkest: float  # the longest of them at a stretch


def learn(patience: float, keepalive: Keepalive | None = None, most: int = 200) -> Learned:
    """Search behind a NAT that forgets after `patience` seconds, until it rests."""
    keepalive = keepalive or Keepalive()
    now = unreachable = darkest = 0.0
    for _ in range(most):
        wait = keepalive.seconds
        if keepalive.bounds.settled and wait == keepalive.bounds.wait and wait < patience:
            return Learned(keepalive, now, unreachable, darkest)
        if wait < patience:
            now += wait
            keepalive.survived(wait, now=now)
        else:
            now += wait + 5
            unreachable += wait + 5 - patience
            darkest = max(darkest, wait + 5 - patience)
            keepalive.lost(now=now)
    raise AssertionError("it never rests")


@given(PATIENCE)
def test_it_rests_below_what_the_network_forgives_and_not_far_below(patience: float) -> None:
    rest = learn(patience).keepalive.seconds
    assert rest < patience
    assert rest <= MOST
    assert rest >= min(MOST, patience / 1.1) * MARGIN * 0.999 or rest == LEAST


@given(PATIENCE)
def test_learning_is_over_within_the_hour_and_keeps_the_device_in_reach(patience: float) -> None:
    learned = learn(patience)
    assert learned.took < 3_600
    assert learned.unreachable < 400
    assert learned.darkest <= max(patience * 0.5, SAFE) + 5


@given(PATIENCE, PATIENCE)
def test_another_network_is_learned_from_what_was_believed_of_the_first(
    first: float, second: float
) -> None:
    keepalive = learn(first).keepalive
    # A network that forgives more is not noticed before it is time to look again.
    if second < first:
        assert learn(second, keepalive).keepalive.seconds < second


@given(st.lists(st.booleans(), max_size=300), st.floats(0, MOST * 2))
def test_whatever_happens_the_wait_stays_within_bounds(events: list[bool], silence: float) -> None:
    keepalive = Keepalive()
    for number, survived in enumerate(events):
        if survived:
            keepalive.survived(max(silence, keepalive.seconds), now=number * 100.0)
        else:
            keepalive.lost(now=number * 100.0)
        assert LEAST <= keepalive.seconds <= MOST
        assert keepalive.bounds.good <= MOST


@pytest.mark.parametrize(
    ("patience", "rest"), [(30, 27.7), (60, 56.2), (120, 108.6), (150, 140.0), (600, 300.0)]
)
def test_networks_that_there_are(patience: float, rest: float) -> None:
    assert learn(patience).keepalive.seconds == pytest.approx(rest, abs=0.1)


def test_it_begins_with_what_is_safe_and_proves_that_first() -> None:
    keepalive = Keepalive()
    assert keepalive.seconds == SAFE
    keepalive.survived(SAFE, now=25.0)
    assert keepalive.seconds == SAFE * 1.5


def test_one_packet_more_or_less_is_chance() -> None:
    keepalive = learn(150).keepalive
    rest = keepalive.seconds
    for round_ in range(20):
        keepalive.lost(now=0.0)
        assert keepalive.seconds == rest, round_
        keepalive.survived(rest, now=0.0)
    for _ in range(CONFIRM):
        keepalive.lost(now=0.0)
    assert keepalive.seconds < rest


def test_a_silence_that_was_cut_short_proves_nothing() -> None:
    keepalive = Keepalive()
    for _ in range(10):
        keepalive.survived(SAFE * 0.9, now=0.0)
    assert keepalive.seconds == SAFE


def test_what_is_remembered_is_used_from_the_first_moment() -> None:
    bounds = learn(150).keepalive.bounds
    assert Keepalive(bounds).seconds == pytest.approx(140.0, abs=0.1)


def test_a_longer_wait_is_tried_again_after_a_week_and_not_before() -> None:
    keepalive = learn(30).keepalive
    rest = keepalive.seconds
    keepalive.survived(rest, now=RELEARN_S)
    keepalive.survived(rest, now=RELEARN_S + keepalive._settled_at - 1)
    assert keepalive.seconds == rest
    keepalive.survived(rest, now=RELEARN_S + keepalive._settled_at)
    assert keepalive.seconds > 30
    assert learn(150, keepalive).keepalive.seconds == pytest.approx(140, abs=8)


def test_a_network_that_forgets_at_once_is_bounded_below() -> None:
    keepalive = Keepalive()
    for _ in range(50):
        keepalive.lost(now=0.0)
    assert keepalive.seconds == LEAST
    assert Bounds(LEAST, LEAST).settled
