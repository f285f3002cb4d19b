"""The table of who may do what, read by one function."""

from __future__ import annotations

import pytest

from edgetainer.domain.access import (
    RULES,
    SYSTEM,
    DeviceIdentity,
    Principal,
    Role,
    decide,
    demand,
)
from edgetainer.errors import EdgetainerError

ADMIN, OPERATOR, VIEWER = (Principal(f"u-{r}", r, r) for r in Role)
DEVICE = DeviceIdentity("d-1", "ff")
EVERYBODY = (ADMIN, OPERATOR, VIEWER, DEVICE, None)

# Who may, one row per group of actions, written out a second time by hand.
MATRIX = {
    (ADMIN, OPERATOR, VIEWER): [
        "auth.me", "fleets.read", "devices.read", "software.read", "deployments.read",
        "exposures.read", "exposures.visit", "hub.connect",
    ],
    (ADMIN, OPERATOR): [
        "devices.update", "devices.move", "command.container", "terminal.container",
        "software.write", "deployments.write", "exposures.write",
    ],
    (ADMIN,): [
        "users.read", "users.update", "users.list", "users.create", "users.delete",
        "users.set_role", "fleets.write", "fleets.delete", "devices.create", "devices.delete",
        "devices.revoke", "devices.record", "provision.tokens", "command.host", "terminal.host",
        "software.privileged", "software.delete", "exposures.unprotect",
    ],
    (DEVICE,): ["agent.read", "agent.report"],
    EVERYBODY: ["auth.login", "auth.refresh", "auth.logout", "health.read", "provision.register"],
}  # fmt: skip
CASES = [(action, who) for who, actions in MATRIX.items() for action in actions]


@pytest.mark.parametrize(("action", "allowed"), CASES, ids=[c[0] for c in CASES])
def test_matrix(action, allowed):
    for who in EVERYBODY:
        decision = decide(who, action)
        assert decision.allowed == (who in allowed), who
        assert decision.allowed or decision.reason


def test_every_rule_is_in_the_matrix_above():
    known = {action for action, _ in CASES}
    assert set(RULES) - known == set()


@pytest.mark.parametrize("who", [*EVERYBODY, SYSTEM], ids=str)
def test_what_no_rule_names_is_refused(who):
    assert not decide(who, "devices.explode").allowed


def test_own_things_need_no_role():
    assert decide(VIEWER, "users.update", owner=VIEWER.user_id).allowed
    assert not decide(VIEWER, "users.update", owner=ADMIN.user_id).allowed
    assert not decide(VIEWER, "users.update").allowed
    assert not decide(VIEWER, "users.delete", owner=VIEWER.user_id).allowed


def test_a_device_speaks_only_for_itself():
    assert decide(DEVICE, "agent.report", owner="d-1").allowed
    assert not decide(DEVICE, "agent.report", owner="d-2").allowed


def test_demand_says_why():
    with pytest.raises(EdgetainerError) as caught:
        demand(VIEWER, "terminal.container")
    assert caught.value.code == "forbidden"
    assert caught.value.detail == "This needs an admin or an operator; you are signed in as viewer."
    with pytest.raises(EdgetainerError) as caught:
        demand(None, "devices.read")
    assert caught.value.code == "unauthenticated"
    demand(SYSTEM, "users.create")
