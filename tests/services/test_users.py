from __future__ import annotations

from uuid import uuid4

import pytest

from edgetainer.domain.access import Role
from edgetainer.storage import users as stored
from tests.databases import result
from tests.services.home import PASSWORD, now, refusal

NEW = "another long password"


def _create(home, who, **changes):
    values = {
        "username": "Grace", "email": "Grace@X.test", "password": PASSWORD, "role": Role.VIEWER
    }  # fmt: skip
    return home.users.create(who, **(values | changes))


def test_the_first_admins_password_is_kept_before_there_is_an_admin(database, home):
    for who in (home.admin, home.operator, home.viewer):
        result(database.run(lambda c, who=who: stored.remove(c, who.user_id)))

    def killed(password: str) -> None:
        assert len(password) >= 16
        raise RuntimeError("killed just then")

    with pytest.raises(RuntimeError):
        now(home.users.first_admin(killed))
    kept = []
    assert [now(home.users.first_admin(kept.append))] == kept


def test_the_first_admin_only_where_nobody_is(database, home):
    assert now(home.users.first_admin()) is None
    for who in (home.admin, home.operator, home.viewer):
        result(database.run(lambda c, who=who: stored.remove(c, who.user_id)))
    password = now(home.users.first_admin())
    assert now(home.users.first_admin()) is None
    signed = now(home.authentication.login("admin", password, address=""))
    assert signed.user.role is Role.ADMIN


def test_created_and_found(home):
    grace = now(_create(home, home.admin))
    assert (grace.username, grace.email) == ("grace", "grace@x.test")
    assert now(home.users.get(home.admin, grace.id)) == grace
    page, total = now(home.users.page(home.admin, limit=2, offset=1))
    assert ([user.username for user in page], total) == (["grace", "operator"], 4)
    assert home.audited()[-1] == "users.create"


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"username": "ADMIN"}, "already_exists", "username"),
        ({"email": "Admin@x.test"}, "already_exists", "email"),
        ({"password": "short"}, "invalid_field", "password"),
        ({"password": "grace12345678"}, "invalid_field", "password"),
    ],
)
def test_refused(home, changes, code, field):
    error = refusal(_create(home, home.admin, **changes))
    assert (error.code, error.field) == (code, field)


def test_only_admins_manage_people(home):
    for who in (home.operator, home.viewer):
        assert refusal(_create(home, who)).code == "forbidden"
        assert refusal(home.users.page(who, limit=1, offset=0)).code == "forbidden"
        assert refusal(home.users.get(who, home.admin.user_id)).code == "forbidden"
        assert refusal(home.users.remove(who, home.viewer.user_id)).code == "forbidden"
        assert (
            refusal(home.users.update(who, home.admin.user_id, email="x@x.test")).code
            == "forbidden"
        )


def test_everybody_minds_their_own(home):
    me = home.viewer
    assert now(home.users.get(me, me.user_id)).username == "viewer"
    assert now(home.users.update(me, me.user_id, email="New@x.test")).email == "new@x.test"
    assert refusal(home.users.update(me, me.user_id, role=Role.ADMIN)).code == "forbidden"
    assert refusal(home.users.update(me, me.user_id, username="root")).code == "forbidden"


def test_changing_ones_own_password(home):
    here, there = home.login("viewer"), home.login("viewer")
    me = now(home.authentication.principal(here.access_token))

    def change(**kwargs):
        return home.users.update(me, me.user_id, password=NEW, **kwargs)

    assert refusal(change()).field == "current_password"
    assert refusal(change(current_password="wrong")).field == "current_password"
    now(change(current_password=PASSWORD))
    # Here one stays signed in; everywhere else one is out.
    now(home.authentication.principal(here.access_token))
    assert refusal(home.authentication.principal(there.access_token)).code == "session_expired"
    assert (
        refusal(home.authentication.login("viewer", PASSWORD, address="")).code
        == "invalid_credentials"
    )
    now(home.authentication.login("viewer", NEW, address=""))
    assert home.audited()[-1] == "auth.login"


def test_guessing_the_present_password_is_slowed(home):
    me = home.viewer
    for _ in range(10):
        refusal(home.users.update(me, me.user_id, password=NEW, current_password="wrong"))
    error = refusal(home.users.update(me, me.user_id, password=NEW, current_password=PASSWORD))
    assert error.code == "too_many_attempts"


def test_strangers_at_the_door_do_not_keep_one_from_changing_it(home):
    me = home.viewer
    for n in range(10):
        refusal(home.authentication.login("viewer", "wrong", address=f"192.0.2.{n}"))
    now(home.users.update(me, me.user_id, password=NEW, current_password=PASSWORD))


def test_an_admin_sets_anothers_password(home):
    signed = home.login("viewer")
    now(home.users.update(home.admin, home.viewer.user_id, password=NEW))
    assert refusal(home.authentication.principal(signed.access_token)).code == "session_expired"
    now(home.authentication.login("viewer", NEW, address=""))


def test_the_last_admin_stays(home):
    assert refusal(home.users.remove(home.admin, home.admin.user_id)).code == "in_use"
    error = refusal(home.users.update(home.admin, home.admin.user_id, role=Role.VIEWER))
    assert (error.code, error.field) == ("in_use", "role")
    now(home.users.update(home.admin, home.viewer.user_id, role=Role.ADMIN))
    now(home.users.remove(home.admin, home.admin.user_id))


def test_nobody(home):
    nobody = str(uuid4())
    assert refusal(home.users.get(home.admin, nobody)).code == "not_found"
    assert refusal(home.users.update(home.admin, nobody, email="x@x.test")).code == "not_found"
    assert refusal(home.users.remove(home.admin, nobody)).code == "not_found"


def test_names_of_others_cannot_be_taken(home):
    error = refusal(home.users.update(home.admin, home.viewer.user_id, username="Operator"))
    assert (error.code, error.field) == ("already_exists", "username")
