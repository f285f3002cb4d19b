from __future__ import annotations

from uuid import uuid4

import pytest

from edgetainer.storage import audit
from tests.databases import result
from tests.services.world import PAGE, PAGE_2, ROOT, now, refusal


def test_an_upload_makes_the_software_and_its_first_release(world):
    made = now(world.catalogue.upload(world.operator, name="My Page", text=PAGE, notes="the first"))
    assert (made.name, made.slug, made.source) == ("My Page", "my-page", "manual")
    assert (made.current_version, made.versions) == ("1", ("1",))
    assert now(world.catalogue.get(world.viewer, made.id)) == made
    assert now(world.catalogue.page(world.viewer, limit=10, offset=0)) == ([made], 1)
    ((version,), _total) = now(world.catalogue.versions(world.viewer, made.id, limit=9, offset=0))
    assert version.release.compose == PAGE
    assert version.release.notes == "the first"
    assert version.release.created_by == world.operator.user_id
    assert [service.name for service in version.services] == ["web"]
    assert version.privileges == ""
    (entry,) = result(world.database.read(lambda c: audit.latest(c, limit=10)))
    assert (entry.action, entry.target_id) == ("software.upload", made.id)
    assert entry.detail["version"] == "1"


def test_another_file_becomes_the_next_version(world):
    first = world.upload(PAGE)
    second = world.upload(PAGE_2)
    assert second.id == first.id
    assert (second.current_version, second.versions) == ("2", ("2", "1"))
    third = world.upload(PAGE, version="v3.0")
    assert (third.current_version, third.versions) == ("v3.0", ("v3.0", "2", "1"))


def test_uploading_the_same_again_changes_nothing(world):
    first = world.upload(PAGE, version="1.0")
    assert world.upload(PAGE, version="1.0") == first
    assert world.upload(PAGE) == first


def test_a_version_keeps_its_file(world):
    world.upload(PAGE, version="1.0")
    error = refusal(world.catalogue.upload(world.admin, name="Page", text=PAGE_2, version="1.0"))
    assert (error.code, error.field) == ("already_exists", "version")


def test_two_names_that_are_one_on_devices_are_refused(world):
    world.upload(name="My Page")
    error = refusal(world.catalogue.upload(world.admin, name="my-page", text=PAGE_2))
    assert (error.code, error.field) == ("already_exists", "name")
    assert now(world.catalogue.page(world.admin, limit=10, offset=0))[1] == 1


def test_a_malformed_file_stores_nothing(world):
    error = refusal(
        world.catalogue.upload(world.admin, name="Page", text="services: {web: {build: .}}")
    )
    assert (error.code, error.field) == ("compose_invalid", "services.web.build")
    assert now(world.catalogue.page(world.admin, limit=10, offset=0)) == ([], 0)


def test_privileges_need_an_admin(world):
    error = refusal(world.catalogue.upload(world.operator, name="Root", text=ROOT))
    assert (error.code, error.field) == ("forbidden", "services.web.privileged")
    made = world.upload(ROOT, name="Root")
    ((version,), _total) = now(world.catalogue.versions(world.viewer, made.id, limit=9, offset=0))
    assert version.privileges.startswith("services.web.privileged")


def test_viewers_only_look(world):
    made = world.upload()
    upload = world.catalogue.upload(world.viewer, name="Page", text=PAGE_2)
    assert refusal(upload).code == "forbidden"
    assert refusal(world.catalogue.delete(world.operator, made.id)).code == "forbidden"


def test_deleting_is_refused_while_it_is_deployed(world):
    made = world.upload()
    device = world.device()
    deployment = now(world.deployments.deploy(world.admin, made.id, device_id=device))
    error = refusal(world.catalogue.delete(world.admin, made.id))
    assert error.code == "in_use"
    assert "1 fleet(s) or device(s)" in error.detail
    now(world.deployments.remove(world.admin, deployment.id))
    now(world.catalogue.delete(world.admin, made.id))
    assert refusal(world.catalogue.get(world.admin, made.id)).code == "not_found"


def test_what_is_not_there_is_not_found(world):
    nothing = str(uuid4())
    made = world.upload()
    for ask in (
        world.catalogue.get(world.admin, nothing),
        world.catalogue.versions(world.admin, nothing, limit=9, offset=0),
        world.catalogue.version(world.admin, made.id, "9"),
        world.catalogue.version(world.admin, nothing, "1"),
        world.catalogue.delete(world.admin, nothing),
    ):
        assert refusal(ask).code == "not_found"


@pytest.mark.parametrize("version", ["", "../1", "x" * 65])
def test_a_version_has_a_form(world, version):
    upload = world.catalogue.upload(world.admin, name="Page", text=PAGE, version=version)
    assert (refusal(upload).code) == "invalid_field"
