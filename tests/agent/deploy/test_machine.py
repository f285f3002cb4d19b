from __future__ import annotations

import pytest

from edgetainer_agent.deploy.machine import AWAITED, RESTING, TABLE, Effect, Event, State, step


def test_every_state_is_reached_and_left() -> None:
    reached = {State.ABSENT}
    while True:
        more = {after.state for (before, _), after in TABLE.items() if before in reached}
        if more <= reached:
            break
        reached |= more
    assert reached == set(State)
    assert {before for before, _ in TABLE} == set(State)


def test_a_step_waits_for_at_most_one_thing_and_last() -> None:
    for after in TABLE.values():
        awaited = [effect for effect in after.effects if effect in AWAITED]
        assert awaited in ([], [after.effects[-1]] if after.effects else [])
        # It rests exactly if there is nothing to wait for.
        assert (after.state in RESTING) is (not awaited)


def test_whatever_is_awaited_may_fail_and_then_rests() -> None:
    for after in TABLE.values():
        if after.state not in RESTING:
            assert step(after.state, Event.FAILED).state in RESTING


def test_nothing_touches_a_stack_before_validation_and_a_durable_mark() -> None:
    for (before, event), after in TABLE.items():
        if Effect.UP in after.effects:
            assert (before, event) == (State.VALIDATING, Event.SUCCEEDED)
            assert after.effects.index(Effect.MARK_APPLYING) < after.effects.index(Effect.UP)
        if Effect.REPORT_DEPLOYED in after.effects:
            # Green only after it was seen running, and written down.
            assert event in (Event.SAME, Event.SUCCEEDED)
            assert Effect.COMMIT in after.effects or event is Event.SAME


def test_the_way_of_a_deployment() -> None:
    state, done = State.ABSENT, []
    for event in (Event.WANTED, Event.DIFFERENT, *[Event.SUCCEEDED] * 3):
        state, effects = step(state, event)
        done += effects
    assert state is State.DEPLOYED
    assert [effect.value for effect in done] == [
        "inspect", "report updating", "validate", "mark applying", "up", "verify",
        "commit", "report deployed",
    ]  # fmt: skip


def test_what_cannot_happen_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="'same' cannot happen while 'applying'"):
        step(State.APPLYING, Event.SAME)
