from __future__ import annotations

from uuid import uuid4

import pytest

from edgetainer.services.exposures import MAX_SERVICES, Exposures
from tests.services.world import now, refusal


def test_exposing_gives_an_address_and_rings(world):
    device = world.device()
    seen = world.watch(f"device:{device}")
    made = world.expose(device)
    assert made.url == "https://web--kiosk-1.apps.example.com:8443/"
    assert made.service.auth_required is True
    assert world.rung == [(device, 1)]
    assert [event.type for event in seen] == ["exposed_services.updated"]
    assert now(world.exposures.of_device(world.viewer, device)) == [made]
    assert now(world.exposures.get(world.viewer, device, made.service.id)) == made


def test_a_door_without_sign_in_is_an_admins(world):
    device = world.device()
    update = world.exposures.update
    opened = world.expose(device, "open", who=world.admin, auth_required=False).service
    shut = world.expose(device, "shut").service
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
        update(world.operator, device, shut.id, {"auth_required": False, "enabled": False}),
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
        ({"container_name": "shop/"}, "container_name"),
        ({"container_name": "a/b/c"}, "container_name"),
        ({"internal_port": 0}, "internal_port"),
        ({"internal_port": 65536}, "internal_port"),
    ],
)
def test_wrong_values_are_named(world, values, field):
    device = world.device()
    made = world.expose(device).service
    good = {"name": "ok", "container_name": "page", "internal_port": 80}
    for ask in (
        world.exposures.create(world.operator, device, **{**good, **values}),
        world.exposures.update(world.operator, device, made.id, values),
    ):
        error = refusal(ask)
        assert (error.code, error.field) == ("invalid_field", field)


def test_names_are_one_of_a_kind_on_a_device(world):
    device, other = world.device(), world.device()
    world.expose(device, "a")
    world.expose(other, "a")
    made = world.expose(device, "b").service
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
        world.expose(device, f"s-{n}")
    create = world.exposures.create(
        world.operator, device, name="more", container_name="page", internal_port=1
    )
    assert refusal(create).code == "invalid_request"


def test_another_devices_service_is_not_found(world):
    device, other = world.device(), world.device()
    made = world.expose(device).service
    nobody = str(uuid4())
    for ask in (
        world.exposures.get(world.admin, other, made.id),
        world.exposures.update(world.admin, other, made.id, {"enabled": False}),
        world.exposures.delete(world.admin, other, made.id),
        world.exposures.of_device(world.admin, nobody),
        world.exposures.create(
            world.admin, nobody, name="a", container_name="page", internal_port=1
        ),
    ):
        assert refusal(ask).code == "not_found"
    assert len(now(world.exposures.of_device(world.viewer, device))) == 1


def test_viewers_only_look(world):
    device = world.device()
    made = world.expose(device).service
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
    world.expose(device)
    (shown,) = now(exposures.of_device(world.viewer, device))
    assert shown.url == "https://web--kiosk-1.apps.example.com/"
