from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from edgetainer.errors import EdgetainerError
from edgetainer.services import addresses as module
from edgetainer.services.addresses import Route
from edgetainer.storage import tables
from edgetainer.tunnel.messages import TcpTarget
from tests.databases import result
from tests.services.world import now, refusal


def resolve(world, host):
    return now(world.exposures.resolve(host))


def code(world, host):
    return refusal(world.exposures.resolve(host)).code


def test_an_address_leads_to_its_service(world):
    device = world.device()
    web = world.expose(device, "web", 80).service
    api = world.expose(device, "api", 8080, who=world.admin, auth_required=False).service
    assert resolve(world, "web--kiosk-1.apps.example.com") == Route(
        device_id=device,
        service_id=web.id,
        service_name="web",
        target=TcpTarget(service="page", port=80),
        auth_required=True,
    )
    assert resolve(world, "API--Kiosk-1.Apps.Example.com").service_id == api.id
    assert resolve(world, "api--kiosk-1.apps.example.com").auth_required is False


def test_the_bare_subdomain_leads_to_the_oldest_or_to_the_one_called_default(world):
    device = world.device()
    host = "kiosk-1.apps.example.com"
    assert code(world, host) == "service_not_exposed"
    first = world.expose(device, "first").service
    world.expose(device, "second")
    assert resolve(world, host).service_id == first.id
    third = world.expose(device, "default").service
    assert resolve(world, host).service_id == third.id
    now(world.exposures.update(world.operator, device, third.id, {"enabled": False}))
    assert resolve(world, host).service_id == first.id


@pytest.mark.parametrize(
    "host",
    [
        "kiosk-2.apps.example.com",
        "web--kiosk-2.apps.example.com",
        "kiosk-1.example.com",
        "apps.example.com",
        "a.kiosk-1.apps.example.com",
        "--kiosk-1.apps.example.com",
        "web----kiosk-1.apps.example.com",
        "kiosk-1.apps.example.com.",
        "",
        "x" * 10_000,
    ],
)
def test_addresses_of_nobody(world, host):
    device = world.device()
    world.expose(device)
    assert code(world, host) == "host_unknown"


def test_a_change_is_seen_at_once(world):
    device = world.device()
    host = "web--kiosk-1.apps.example.com"
    assert code(world, host) == "service_not_exposed"
    made = world.expose(device).service
    assert resolve(world, host).target.port == 80
    now(world.exposures.update(world.operator, device, made.id, {"internal_port": 81}))
    assert resolve(world, host).target.port == 81
    now(world.exposures.update(world.operator, device, made.id, {"enabled": False}))
    assert code(world, host) == "service_not_exposed"
    now(world.exposures.update(world.operator, device, made.id, {"enabled": True}))
    assert resolve(world, host).target.port == 81
    now(world.exposures.delete(world.operator, device, made.id))
    assert code(world, host) == "service_not_exposed"
    assert world.rung == [(device, n) for n in range(1, 6)]


def test_the_database_is_asked_once_until_something_changes(world):
    device = world.device()
    world.expose(device)
    host, unknown = "web--kiosk-1.apps.example.com", "kiosk-9.apps.example.com"
    resolve(world, host)
    assert code(world, unknown) == "host_unknown"
    world.exposures._addresses._database = None  # whoever asks it now fails
    resolve(world, host)
    assert code(world, unknown) == "host_unknown"
    world.exposures._addresses.forget()
    with pytest.raises(AttributeError):
        resolve(world, host)


def test_what_was_read_while_something_changed_is_not_remembered(world):
    device = world.device()
    host = "web--kiosk-1.apps.example.com"
    reading, real = Deferred(), world.database

    class Slow:
        def read(self, fn):
            return reading

    world.exposures._addresses._database = Slow()
    waiting = Deferred.fromCoroutine(world.exposures.resolve(host))
    world.exposures._addresses._database = real
    stale = result(real.read(lambda c: module.stored.addressed(c, "kiosk-1")))
    world.expose(device)
    reading.callback(stale)
    with pytest.raises(EdgetainerError, match="service_not_exposed"):
        result(waiting)
    assert resolve(world, host).device_id == device


class Forgetful:
    """Counts how often the database is asked."""

    def __init__(self, world) -> None:
        self.asked = 0
        self._real = world.database
        world.exposures._addresses._database = self

    def read(self, fn):
        self.asked += 1
        return self._real.read(fn)


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({}, 1),
        ({"metrics": {"load1": 3}}, 1),
        ({"subdomain": "kiosk-9"}, 2),
        ({"subdomain": None}, 2),
        ({"subdomain_enabled": False}, 2),
        ({"id": "another", "subdomain": "kiosk-1"}, 2),
        ({"id": "another", "subdomain": "kiosk-9"}, 1),
    ],
)
def test_a_device_that_changes_its_address_is_looked_up_again(world, change, asked):
    device = world.device()
    world.expose(device)
    counted = Forgetful(world)
    host = "web--kiosk-1.apps.example.com"
    resolve(world, host)
    shown = {"id": device, "subdomain": "kiosk-1", "subdomain_enabled": True, **change}
    world.events.publish("devices", "device.updated", shown)
    resolve(world, host)
    assert counted.asked == asked


def test_a_device_that_is_deleted_or_made_is_looked_up_again(world):
    device = world.device()
    world.expose(device)
    counted = Forgetful(world)
    resolve(world, "web--kiosk-1.apps.example.com")
    world.events.publish("devices", "device.deleted", {"id": device})
    resolve(world, "web--kiosk-1.apps.example.com")
    assert counted.asked == 2
    assert code(world, "kiosk-2.apps.example.com") == "host_unknown"
    made = {"id": "new", "subdomain": "kiosk-2", "subdomain_enabled": True}
    world.events.publish("devices", "device.updated", made)
    assert code(world, "kiosk-2.apps.example.com") == "host_unknown"
    assert counted.asked == 4


def test_addresses_remembered_are_bounded(world, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    for n in range(10):
        assert code(world, f"nobody-{n}.apps.example.com") == "host_unknown"
    assert len(world.exposures._addresses._remembered) == 3
    for _ in range(5):
        world.device()
    for n in range(1, 6):
        assert code(world, f"kiosk-{n}.apps.example.com") == "service_not_exposed"
    assert len(world.exposures._addresses._subdomains) == 3


def test_a_device_whose_subdomain_is_off_has_no_address(world):
    device = world.device()
    made = world.expose(device)
    resolve(world, "web--kiosk-1.apps.example.com")
    off = tables.devices.update().values(subdomain_enabled=False)
    result(world.database.run(lambda c: c.execute(off) and None))
    world.exposures._addresses.forget()
    assert code(world, "web--kiosk-1.apps.example.com") == "host_unknown"
    assert now(world.exposures.get(world.viewer, device, made.service.id)).url is None
