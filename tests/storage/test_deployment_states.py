from __future__ import annotations

from datetime import timedelta

import pytest

from edgetainer.storage import deployment_states as states
from edgetainer.storage import revisions
from edgetainer.storage.deployment_states import State, Tally
from tests import rows
from tests.databases import result
from tests.rows import NOW
from tests.storage.test_deployments import place
from tests.storage.test_software import add, release


@pytest.fixture
def fleet(database):
    """A fleet of three at revision 1; the third has a deployment of its own."""
    fleet_id = rows.fleet(database)
    members = [rows.device(database, fleet_id=fleet_id) for _ in range(3)]
    rows.device(database)
    made = release(database, add(database, "page"), "1")
    own = place(database, made, device_id=members[2])
    whole = place(database, made, fleet_id=fleet_id)
    result(database.run(lambda c: revisions.raise_fleet(c, fleet_id)))
    result(database.run(lambda c: states.begin(c, whole, now=NOW)))
    return whole, own, members


def say(database, deployment, device, status, *, revision=1, detail=None) -> bool:
    state = State(deployment, device, revision, status, detail, NOW)
    return result(database.run(lambda c: states.record(c, state)))


def tally(database, deployment) -> Tally:
    return result(database.read(lambda c: states.tally(c, deployment)))


def said(database, device) -> dict[str, State]:
    return result(database.read(lambda c: states.of_device(c, device)))


def test_a_deployment_begins_as_pending_on_each_device_it_concerns(database, fleet):
    whole, own, members = fleet
    for member in members[:2]:
        assert said(database, member) == {whole: State(whole, member, 1, "pending", None, NOW)}
    assert tally(database, whole) == Tally(devices=2, deployed=0, failed=0, failure=None)
    # Nothing was begun for it yet: silence is pending too.
    assert said(database, members[2]) == {}
    assert tally(database, own) == Tally(devices=1, deployed=0, failed=0, failure=None)


def test_reports_are_counted(database, fleet):
    whole, _own, members = fleet
    assert say(database, whole, members[0], "deployed") is True
    assert say(database, whole, members[1], "failed", detail="no such image") is True
    assert say(database, whole, members[2], "failed", detail="not concerned") is True
    assert tally(database, whole) == Tally(2, 1, 1, "no such image")
    assert said(database, members[1]) == {
        whole: State(whole, members[1], 1, "failed", "no such image", NOW)
    }


def test_a_report_twice_is_no_news_and_an_older_one_is_ignored(database, fleet):
    whole, _own, members = fleet
    assert say(database, whole, members[0], "updating", revision=3) is True
    assert say(database, whole, members[0], "updating", revision=3) is False
    assert say(database, whole, members[0], "failed", revision=2) is False
    assert say(database, whole, members[0], "updating", revision=4) is False
    assert say(database, whole, members[0], "deployed", revision=3) is False
    assert say(database, whole, members[0], "deployed", revision=4) is True


def test_saying_the_same_of_a_later_revision_is_no_change(database, fleet):
    whole, _own, members = fleet
    say(database, whole, members[0], "deployed", revision=3)
    later = State(whole, members[0], 5, "deployed", None, NOW + timedelta(hours=1))
    assert result(database.run(lambda c: states.record(c, later))) is False
    kept = said(database, members[0])[whole]
    assert (kept.revision, kept.updated_at) == (5, NOW)


def test_beginning_again_forgets_and_asks_for_the_new_revision(database, fleet):
    whole, _own, members = fleet
    say(database, whole, members[0], "deployed")
    result(database.run(lambda c: revisions.raise_device(c, members[0])))
    result(database.run(lambda c: states.begin(c, whole, now=NOW)))
    for member in members[:2]:
        assert said(database, member)[whole].status == "pending"
    assert say(database, whole, members[0], "deployed", revision=1) is False
    assert say(database, whole, members[0], "deployed", revision=2) is True


def test_what_no_longer_concerns_a_device_is_forgotten(database, fleet):
    whole, _own, members = fleet
    result(database.run(lambda c: states.forget(c, whole, members[0])))
    assert said(database, members[0]) == {}
    say(database, whole, members[0], "deployed")
    result(database.run(lambda c: states.keep_only(c, members[0], [whole])))
    assert set(said(database, members[0])) == {whole}
    result(database.run(lambda c: states.keep_only(c, members[0], [])))
    assert said(database, members[0]) == {}
