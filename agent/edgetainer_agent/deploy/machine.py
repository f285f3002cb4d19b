"""What happens to one stack: a table of states, events and effects.

Pure. The runner asks `step`, carries the effects out in their order, and feeds
back how the last one, the only one that takes time, ended. Nothing touches a
running stack before its successor was validated, and a stack counts as applied
only once it was seen running, so a crash at any point leads to applying again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where a stack stands. The first three rest; the others wait for an end."""

    ABSENT = "absent"
    DEPLOYED = "deployed"
    FAILED = "failed"
    INSPECTING = "inspecting"
    VALIDATING = "validating"
    APPLYING = "applying"
    VERIFYING = "verifying"
    REMOVING = "removing"


class Event(StrEnum):
    """What was decided, or how an effect ended."""

    WANTED = "wanted"
    UNWANTED = "unwanted"
    SAME = "same"
    DIFFERENT = "different"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Effect(StrEnum):
    """What the runner is to do."""

    INSPECT = "inspect"  # is the target applied, and does it run? SAME, DIFFERENT
    VALIDATE = "validate"  # can the engine's Compose read it?
    MARK_APPLYING = "mark applying"  # durable: from here on the old state is gone
    UP = "up"
    VERIFY = "verify"  # does every container run?
    COMMIT = "commit"  # durable: the target is applied
    DOWN = "down"
    FORGET = "forget"  # durable: there is no such stack
    REPORT_UPDATING = "report updating"
    REPORT_DEPLOYED = "report deployed"
    REPORT_FAILED = "report failed"


#: Effects whose end is an event; each step has at most one, as its last.
AWAITED = frozenset({Effect.INSPECT, Effect.VALIDATE, Effect.UP, Effect.VERIFY, Effect.DOWN})
RESTING = frozenset({State.ABSENT, State.DEPLOYED, State.FAILED})


class Step(NamedTuple):
    """The next state and what to do on the way there."""

    state: State
    effects: tuple[Effect, ...]


_INSPECT = Step(State.INSPECTING, (Effect.INSPECT,))
_REMOVE = Step(State.REMOVING, (Effect.DOWN,))
_FAIL = Step(State.FAILED, (Effect.REPORT_FAILED,))

TABLE: dict[tuple[State, Event], Step] = {
    (State.ABSENT, Event.WANTED): _INSPECT,
    (State.DEPLOYED, Event.WANTED): _INSPECT,
    (State.FAILED, Event.WANTED): _INSPECT,
    (State.ABSENT, Event.UNWANTED): _REMOVE,
    (State.DEPLOYED, Event.UNWANTED): _REMOVE,
    (State.FAILED, Event.UNWANTED): _REMOVE,
    (State.INSPECTING, Event.SAME): Step(State.DEPLOYED, (Effect.REPORT_DEPLOYED,)),
    (State.INSPECTING, Event.DIFFERENT): Step(
        State.VALIDATING, (Effect.REPORT_UPDATING, Effect.VALIDATE)
    ),
    (State.INSPECTING, Event.FAILED): _FAIL,
    (State.VALIDATING, Event.SUCCEEDED): Step(State.APPLYING, (Effect.MARK_APPLYING, Effect.UP)),
    (State.VALIDATING, Event.FAILED): _FAIL,
    (State.APPLYING, Event.SUCCEEDED): Step(State.VERIFYING, (Effect.VERIFY,)),
    (State.APPLYING, Event.FAILED): _FAIL,
    (State.VERIFYING, Event.SUCCEEDED): Step(
        State.DEPLOYED, (Effect.COMMIT, Effect.REPORT_DEPLOYED)
    ),
    (State.VERIFYING, Event.FAILED): _FAIL,
    # It could not be noted down: it counts as not applied and is done again.
    (State.DEPLOYED, Event.FAILED): _FAIL,
    (State.REMOVING, Event.SUCCEEDED): Step(State.ABSENT, (Effect.FORGET,)),
    # Nobody wants it, so there is no deployment to report on; tried again later.
    (State.REMOVING, Event.FAILED): Step(State.FAILED, ()),
    (State.ABSENT, Event.FAILED): Step(State.FAILED, ()),
}


def step(state: State, event: Event) -> Step:
    """The table's answer.

    :raises ValueError: the event cannot happen in that state, a mistake of ours.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise ValueError(f"{event.value!r} cannot happen while {state.value!r}") from None
