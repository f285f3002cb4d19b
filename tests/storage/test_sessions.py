from __future__ import annotations

import datetime
from uuid import uuid4

import pytest

from edgetainer.domain.access import Role
from edgetainer.storage import sessions, users
from edgetainer.storage.users import User
from tests.databases import result

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def ada(database):
    ada = User(str(uuid4()), "ada", "ada@x.test", Role.OPERATOR, NOW, NOW)
    result(database.run(lambda c: users.add(c, ada, password_hash="h")))
    return ada


def _begin(database, user, *, expires_at=NOW + DAY, token=None):
    id_ = str(uuid4())

    def begin(connection):
        sessions.begin(
            connection,
            session_id=id_,
            user_id=user.id,
            address="192.0.2.1",
            user_agent="test",
            now=NOW,
            expires_at=expires_at,
        )
        sessions.add_token(connection, token_hash=token or id_, session_id=id_, now=NOW)

    result(database.run(begin))
    return id_


def _get(database, id_):
    return result(database.read(lambda c: sessions.get(c, id_)))


def test_a_sign_in_knows_its_user_as_they_are_now(database, ada):
    id_ = _begin(database, ada)
    assert _get(database, id_).role is Role.OPERATOR
    result(database.run(lambda c: users.change(c, ada.id, now=NOW, role="viewer")))
    found = _get(database, id_)
    assert (found.user_id, found.username, found.role) == (ada.id, "ada", Role.VIEWER)
    assert (found.created_at, found.expires_at, found.revoked_at) == (NOW, NOW + DAY, None)


def test_where_somebody_signed_in(database, ada):
    for _ in range(2):
        _begin(database, ada)
    assert result(database.read(lambda c: sessions.addresses(c, ada.id))) == ["192.0.2.1"]
    assert result(database.read(lambda c: sessions.addresses(c, str(uuid4())))) == []


def test_a_token_is_used_once(database, ada):
    id_ = _begin(database, ada, token="t1")
    token = result(database.run(lambda c: sessions.token(c, "t1")))
    assert (token.session_id, token.used_at) == (id_, None)
    later = NOW + DAY / 2
    result(database.run(lambda c: sessions.use_token(c, token, now=later, expires_at=later + DAY)))
    assert result(database.run(lambda c: sessions.token(c, "t1"))).used_at == later
    assert _get(database, id_).expires_at == later + DAY
    assert result(database.run(lambda c: sessions.token(c, "t2"))) is None


def test_revoking(database, ada):
    first, second, third = (_begin(database, ada) for _ in range(3))
    result(database.run(lambda c: sessions.revoke(c, first, now=NOW)))
    result(database.run(lambda c: sessions.revoke_of_user(c, ada.id, now=NOW + DAY, keep=second)))
    assert _get(database, first).revoked_at == NOW
    assert _get(database, second).revoked_at is None
    assert _get(database, third).revoked_at == NOW + DAY


def test_what_has_expired_is_forgotten_with_its_tokens(database, ada):
    old, new = _begin(database, ada, expires_at=NOW, token="a"), _begin(database, ada)
    gone = result(database.run(lambda c: sessions.forget_expired(c, now=NOW + DAY / 2)))
    assert gone == 1
    assert _get(database, old) is None
    assert _get(database, new) is not None
    assert result(database.run(lambda c: sessions.token(c, "a"))) is None


def test_deleting_a_user_ends_everything(database, ada):
    id_ = _begin(database, ada)
    result(database.run(lambda c: users.remove(c, ada.id)))
    assert _get(database, id_) is None
