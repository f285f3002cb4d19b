from __future__ import annotations

import datetime
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from edgetainer.storage import devices, keys
from edgetainer.storage.database import violated
from edgetainer.storage.keys import DeviceKey
from tests.databases import result

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(hours=1)


@pytest.fixture
def device_id(database):
    id_ = str(uuid4())
    result(
        database.run(
            lambda c: devices.add(
                c, id=id_, device_id="d", name="d", fleet_id=None, subdomain="d", now=NOW
            )
        )
    )
    return id_


def _add(database, device_id, spki):
    key = DeviceKey(str(uuid4()), device_id, spki, "PEM", LATER, NOW, None)
    result(database.run(lambda c: keys.add(c, key)))
    return key


def test_accepted_until_revoked(database, device_id):
    key = _add(database, device_id, "aa")
    _add(database, device_id, "bb")
    assert result(database.run(lambda c: keys.get(c, "aa"))) == key
    assert result(database.run(lambda c: keys.get(c, "cc"))) is None
    assert result(database.read(keys.accepted)) == {"aa": device_id, "bb": device_id}
    assert result(database.read(lambda c: keys.accepted_for(c, "aa"))) == device_id
    assert result(database.run(lambda c: keys.revoke(c, device_id, now=LATER))) == 2
    assert result(database.read(lambda c: keys.accepted_for(c, "aa"))) is None
    assert result(database.run(lambda c: keys.revoke(c, device_id, now=LATER))) == 0
    assert result(database.read(keys.accepted)) == {}
    assert result(database.run(lambda c: keys.get(c, "aa"))).revoked_at == LATER


def test_a_key_belongs_to_one_device(database, device_id):
    _add(database, device_id, "aa")
    with pytest.raises(IntegrityError) as caught:
        _add(database, device_id, "aa")
    assert violated(caught.value) == "device_keys.spki_sha256"


def test_renewing(database, device_id):
    _add(database, device_id, "aa")
    result(database.run(lambda c: keys.renew(c, "aa", certificate="NEW", expires_at=NOW)))
    found = result(database.run(lambda c: keys.get(c, "aa")))
    assert (found.certificate, found.expires_at) == ("NEW", NOW)


def test_keys_go_with_their_device(database, device_id):
    _add(database, device_id, "aa")
    result(database.run(lambda c: devices.remove(c, device_id)))
    assert result(database.run(lambda c: keys.get(c, "aa"))) is None
