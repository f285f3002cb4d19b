from __future__ import annotations

from uuid import uuid4

import pytest
from twisted.internet.defer import Deferred

from edgetainer.errors import EdgetainerError
from edgetainer.services import exposures as module
from edgetainer.services.exposures import MAX_SERVICES, Exposures, Route
from edgetainer.storage import tables
from edgetainer.tunnel.messages import TcpTarget
from tests.databases import result
from tests.services.world import now, refusal


def expose(world, device, name="web", port=80, who=None, **more):
    return now(
        world.exposures.create(
            who or world.operator,
            device,
            name=name,
            container_name=more.pop("container_name", "page"),
            internal_port=port,
            **more,
        )
    )


def resolve(world, host):
    return now(world.exposures.resolve(host))


def code(world, host):
    return refusal(world.exposures.resolve(host)).code


def test_exposing_gives_an_address_and_rings(world):
    device = world.device()
    seen = world.watch(f"device:{device}")
    made = expose(world, device)
    assert made.url == "https://web--kiosk-1.apps.example.com:8443/"
    assert made.service.auth_required is True
    assert world.rung == [(device, 1)]
    assert [event.type for event in seen] == ["exposures.updated"]
    assert now(world.exposures.list(world.viewer, device)) == [made]
    assert now(world.exposures.get(world.viewer, device, made.service.id)) == made


def test_an_address_leads_to_its_service(world):
    device = world.device()
    web = expose(world, device, "web", 80).service
    api = expose(world, device, "api", 8080, who=world.admin, auth_required=False).service
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
    first = expose(world, device, "first").service
    expose(world, device, "second")
    assert resolve(world, host).service_id == first.id
    third = expose(world, device, "default").service
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
    expose(world, device)
    assert code(world, host) == "host_unknown"


def test_a_change_is_seen_at_once(world):
    device = world.device()
    host = "web--kiosk-1.apps.example.com"
    assert code(world, host) == "service_not_exposed"
    made = expose(world, device).service
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
    expose(world, device)
    host, unknown = "web--kiosk-1.apps.example.com", "kiosk-9.apps.example.com"
    resolve(world, host)
    assert code(world, unknown) == "host_unknown"
    world.exposures._database = None  # whoever asks it now fails
    resolve(world, host)
    assert code(world, unknown) == "host_unknown"
    world.exposures.forget()
    with pytest.raises(AttributeError):
        resolve(world, host)


def test_what_was_read_while_something_changed_is_not_remembered(world):
    device = world.device()
    host = "web--kiosk-1.apps.example.com"
    reading, real = Deferred(), world.database

    class Slow:
        def read(self, fn):
            return reading

    world.exposures._database = Slow()
    waiting = Deferred.fromCoroutine(world.exposures.resolve(host))
    world.exposures._database = real
    stale = result(real.read(lambda c: module.stored.addressed(c, "kiosk-1")))
    expose(world, device)
    reading.callback(stale)
    with pytest.raises(EdgetainerError, match="service_not_exposed"):
        result(waiting)
    assert resolve(world, host).device_id == device


def test_addresses_remembered_are_bounded(world, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    for n in range(10):
        assert code(world, f"nobody-{n}.apps.example.com") == "host_unknown"
    assert len(world.exposures._remembered) == 3


def test_a_device_whose_subdomain_is_off_has_no_address(world):
    device = world.device()
    made = expose(world, device)
    resolve(world, "web--kiosk-1.apps.example.com")
    off = tables.devices.update().values(subdomain_enabled=False)
    result(world.database.run(lambda c: c.execute(off) and None))
    world.exposures.forget()
    assert code(world, "web--kiosk-1.apps.example.com") == "host_unknown"
    assert now(world.exposures.get(world.viewer, device, made.service.id)).url is None


def test_a_door_without_sign_in_is_an_admins(world):
    device = world.device()
    update = world.exposures.update
    opened = expose(world, device, "open", who=world.admin, auth_required=False).service
    shut = expose(world, device, "shut").service
    for ask in (
        world.exposures.create(
            world.operator,
            device,
            name="x",
            container_name="page",
            internal_port=80,
            auth_required=False,
        ),
        update(world.operator, device, shut.id, {"auth_required": False}),
        # Leading an open door elsewhere is opening another one.
        update(world.operator, device, opened.id, {"internal_port": 22}),
        update(world.operator, device, opened.id, {"container_name": "db"}),
    ):
        assert refusal(ask).code == "forbidden"
    now(update(world.operator, device, opened.id, {"enabled": False}))
    assert refusal(update(world.operator, device, opened.id, {"enabled": True})).code == "forbidden"
    now(update(world.operator, device, opened.id, {"enabled": True, "auth_required": True}))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "Web"}, "name"),
        ({"name": "a--b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 31}, "name"),
        ({"container_name": "../web"}, "container_name"),
        ({"container_name": ""}, "container_name"),
        ({"internal_port": 0}, "internal_port"),
        ({"internal_port": 65536}, "internal_port"),
    ],
)
def test_wrong_values_are_named(world, values, field):
    device = world.device()
    made = expose(world, device).service
    good = {"name": "ok", "container_name": "page", "internal_port": 80}
    for ask in (
        world.exposures.create(world.operator, device, **{**good, **values}),
        world.exposures.update(world.operator, device, made.id, values),
    ):
        error = refusal(ask)
        assert (error.code, error.field) == ("invalid_field", field)


def test_names_are_one_of_a_kind_on_a_device(world):
    device, other = world.device(), world.device()
    expose(world, device, "a")
    expose(world, other, "a")
    made = expose(world, device, "b").service
    create = world.exposures.create(
        world.operator, device, name="a", container_name="page", internal_port=1
    )
    update = world.exposures.update(world.operator, device, made.id, {"name": "a"})
    for ask in (create, update):
        error = refusal(ask)
        assert (error.code, error.field) == ("already_exists", "name")
    # A refused change raises nothing.
    assert world.rung == [(device, 1), (other, 1), (device, 2)]


def test_the_number_of_services_is_bounded(world):
    device = world.device()
    for n in range(MAX_SERVICES):
        expose(world, device, f"s-{n}")
    create = world.exposures.create(
        world.operator, device, name="more", container_name="page", internal_port=1
    )
    assert refusal(create).code == "invalid_request"


def test_another_devices_service_is_not_found(world):
    device, other = world.device(), world.device()
    made = expose(world, device).service
    nobody = str(uuid4())
    for ask in (
        world.exposures.get(world.admin, other, made.id),
        world.exposures.update(world.admin, other, made.id, {"enabled": False}),
        world.exposures.delete(world.admin, other, made.id),
        world.exposures.list(world.admin, nobody),
        world.exposures.create(
            world.admin, nobody, name="a", container_name="page", internal_port=1
        ),
    ):
        assert refusal(ask).code == "not_found"
    assert len(now(world.exposures.list(world.viewer, device))) == 1


def test_viewers_only_look(world):
    device = world.device()
    made = expose(world, device).service
    for ask in (
        world.exposures.create(
            world.viewer, device, name="a", container_name="page", internal_port=1
        ),
        world.exposures.update(world.viewer, device, made.id, {"enabled": False}),
        world.exposures.delete(world.viewer, device, made.id),
    ):
        assert refusal(ask).code == "forbidden"


def test_the_usual_port_is_not_shown(world):
    exposures = Exposures(
        database=world.database,
        bell=world,
        events=world.events,
        now=world.now,
        apps_domain="apps.example.com",
        public_port=443,
    )
    device = world.device()
    expose(world, device)
    (shown,) = now(exposures.list(world.viewer, device))
    assert shown.url == "https://web--kiosk-1.apps.example.com/"
