from __future__ import annotations

import datetime
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from edgetainer.storage import devices, enrolment_tokens
from edgetainer.storage.enrolment_tokens import EnrolmentToken
from tests.databases import result

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


def _add(database, *, uses=1, hash_="h", minutes=0, **values):
    at = NOW + datetime.timedelta(minutes=minutes)
    fields = {"description": None, "fleet_id": None, "device_id": None, **values}
    token = EnrolmentToken(
        id=str(uuid4()), uses=uses, uses_left=uses, expires_at=NOW, created_at=at, **fields
    )
    result(
        database.run(lambda c: enrolment_tokens.add(c, token, token_hash=hash_, created_by=None))
    )
    return token


def test_there_and_back(database):
    token = _add(database, description="for the lab")
    assert result(database.run(lambda c: enrolment_tokens.by_hash(c, "h"))) == token
    assert result(database.run(lambda c: enrolment_tokens.by_hash(c, "x"))) is None


def test_uses_run_out(database):
    token = _add(database, uses=2)
    taken = [result(database.run(lambda c: enrolment_tokens.use(c, token.id))) for _ in range(3)]
    assert taken == [True, True, False]
    assert result(database.run(lambda c: enrolment_tokens.by_hash(c, "h"))).uses_left == 0


def test_pages_show_the_newest_first(database):
    tokens = [_add(database, hash_=str(n), minutes=n) for n in range(3)]
    page, total = result(database.read(lambda c: enrolment_tokens.page(c, limit=2, offset=0)))
    assert ([token.id for token in page], total) == ([tokens[2].id, tokens[1].id], 3)


def test_enrolments_are_remembered_while_token_and_device_are(database):
    token = _add(database)
    id_ = str(uuid4())

    def fill(connection):
        devices.add(
            connection, id=id_, device_id="d", name="d", fleet_id=None, subdomain="d", now=NOW
        )
        enrolment_tokens.add_enrolment(
            connection, token_id=token.id, spki_sha256="aa", device_id=id_, now=NOW
        )

    def enrolled(spki):
        return result(
            database.read(
                lambda c: enrolment_tokens.enrolled(c, token_id=token.id, spki_sha256=spki)
            )
        )

    result(database.run(fill))
    assert (enrolled("aa"), enrolled("bb")) == (id_, None)
    assert result(database.run(lambda c: enrolment_tokens.remove(c, token.id))) is True
    assert result(database.run(lambda c: enrolment_tokens.remove(c, token.id))) is False
    assert enrolled("aa") is None
    assert result(database.read(lambda c: devices.exists(c, id_)))


def test_a_fleet_must_exist(database):
    with pytest.raises(IntegrityError):
        _add(database, fleet_id=str(uuid4()))
