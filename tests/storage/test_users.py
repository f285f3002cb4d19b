from __future__ import annotations

import datetime
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from edgetainer.domain.access import Role
from edgetainer.storage import users
from edgetainer.storage.database import violated
from edgetainer.storage.users import User
from tests.databases import result

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(hours=1)


def _user(name, role=Role.VIEWER):
    return User(str(uuid4()), name, f"{name}@x.test", role, NOW, NOW)


@pytest.fixture
def ada(database):
    ada = _user("ada", Role.ADMIN)
    result(database.run(lambda c: users.add(c, ada, password_hash="h1")))
    return ada


def test_there_and_back(database, ada):
    assert result(database.read(lambda c: users.get(c, ada.id))) == ada
    assert result(database.run(lambda c: users.get(c, ada.id, lock=True))) == ada
    assert result(database.read(lambda c: users.credentials(c, "ada"))) == (ada, "h1")
    assert result(database.read(lambda c: users.password_hash(c, ada.id))) == "h1"


def test_nobody(database):
    nobody = str(uuid4())
    assert result(database.read(lambda c: users.get(c, nobody))) is None
    assert result(database.read(lambda c: users.credentials(c, "nobody"))) is None
    assert result(database.read(lambda c: users.password_hash(c, nobody))) is None
    assert result(database.run(lambda c: users.remove(c, nobody))) is False


@pytest.mark.parametrize(
    ("username", "email", "key"), [("ada", "b", "users.username"), ("b", "ada", "users.email")]
)
def test_names_and_addresses_are_unique(database, ada, username, email, key):
    other = User(str(uuid4()), username, f"{email}@x.test", Role.VIEWER, NOW, NOW)
    with pytest.raises(IntegrityError) as caught:
        result(database.run(lambda c: users.add(c, other, password_hash="h")))
    assert violated(caught.value) == key


def test_change_pages_and_count(database, ada):
    bob = _user("bob")
    result(database.run(lambda c: users.add(c, bob, password_hash="h2")))
    result(database.run(lambda c: users.change(c, bob.id, now=LATER, role="admin")))
    found = result(database.read(lambda c: users.get(c, bob.id)))
    assert (found.role, found.updated_at, found.created_at) == (Role.ADMIN, LATER, NOW)
    assert result(database.run(users.lock_admins)) == 2
    page, total = result(database.read(lambda c: users.page(c, limit=1, offset=1)))
    assert ([user.username for user in page], total) == (["bob"], 2)
    assert result(database.run(lambda c: users.remove(c, bob.id))) is True
    assert result(database.read(users.count)) == 1
