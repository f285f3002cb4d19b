from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from edgetainer.storage import exposed_services
from edgetainer.storage.database import violated
from edgetainer.storage.exposed_services import Addressed, ExposedService
from tests import rows
from tests.databases import result
from tests.rows import NOW


def expose(database, device_id: str, name: str, *, minutes: int = 0, enabled: bool = True):
    at = NOW + timedelta(minutes=minutes)
    service = ExposedService(
        id=str(uuid4()),
        device_id=device_id,
        name=name,
        container_name="web",
        internal_port=80,
        external_port=None,
        protocol="http",
        url_path=None,
        auth_required=True,
        enabled=enabled,
        created_at=at,
        updated_at=at,
    )
    result(database.run(lambda c: exposed_services.add(c, service)))
    return service


def test_a_device_lists_its_own_the_oldest_first(database):
    device, other = rows.device(database), rows.device(database)
    late = expose(database, device, "late", minutes=2)
    early = expose(database, device, "early", minutes=1, enabled=False)
    foreign = expose(database, other, "early")
    assert result(database.read(lambda c: exposed_services.of_device(c, device))) == [early, late]
    assert result(database.read(lambda c: exposed_services.count(c, device))) == 2
    get = exposed_services.get
    assert result(database.read(lambda c: get(c, device, early.id))) == early
    assert result(database.read(lambda c: get(c, device, foreign.id))) is None


def test_names_are_one_of_a_kind_on_a_device(database):
    device = rows.device(database)
    expose(database, device, "a")
    other = expose(database, device, "b")
    with pytest.raises(IntegrityError) as caught:
        expose(database, device, "a")
    assert violated(caught.value) == "exposed_services.device_id,name"
    with pytest.raises(IntegrityError) as caught:
        result(database.run(lambda c: exposed_services.replace(c, replace(other, name="a"))))
    assert violated(caught.value) == "exposed_services.device_id,name"


def test_changing_and_removing(database):
    device, other = rows.device(database), rows.device(database)
    service = expose(database, device, "a")
    changed = replace(service, enabled=False, internal_port=8080, auth_required=False)
    result(database.run(lambda c: exposed_services.replace(c, changed)))
    remove = exposed_services.remove
    assert result(database.run(lambda c: remove(c, other, service.id))) is None
    assert result(database.run(lambda c: remove(c, device, service.id))) == changed
    assert result(database.run(lambda c: remove(c, device, service.id))) is None


def test_a_subdomain_leads_to_the_device_and_its_enabled_services(database):
    device = rows.device(database, subdomain="kiosk-1")
    second = expose(database, device, "second", minutes=2)
    first = expose(database, device, "first", minutes=1)
    expose(database, device, "off", enabled=False)
    found = result(database.read(lambda c: exposed_services.addressed(c, "kiosk-1")))
    assert found == Addressed(device, True, (first, second))
    assert result(database.read(lambda c: exposed_services.addressed(c, "kiosk-2"))) is None
