from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from edgetainer.storage import releases, software
from edgetainer.storage.database import violated
from edgetainer.storage.releases import Release
from tests.databases import result
from tests.rows import NOW


def add(database, name: str, slug: str | None = None) -> str:
    id_ = str(uuid4())
    result(database.run(lambda c: software.add(c, id=id_, name=name, slug=slug or name, now=NOW)))
    return id_


def release(database, software_id: str, version: str, *, minutes: int = 0) -> Release:
    made = Release(
        id=str(uuid4()),
        software_id=software_id,
        version=version,
        compose=f"services: {{web: {{image: 'page:{version}'}}}}",
        notes="ünïcode",
        created_by=None,
        created_at=NOW + timedelta(minutes=minutes),
    )
    result(database.run(lambda c: releases.add(c, made)))
    return made


def test_a_software_lists_its_versions_newest_first(database):
    page = add(database, "page")
    other = add(database, "other")
    first = release(database, page, "1", minutes=1)
    second = release(database, page, "2", minutes=2)
    release(database, other, "1")
    later = NOW + timedelta(hours=1)
    result(database.run(lambda c: software.set_current(c, page, "2", now=later)))

    found = result(database.read(lambda c: software.get(c, page)))
    assert (found.name, found.slug, found.source) == ("page", "page", "manual")
    assert found.versions == ("2", "1")
    assert found.current_version == "2"
    assert (found.created_at, found.updated_at) == (NOW, later)
    assert result(database.run(lambda c: software.by_name(c, "page"))) == found
    assert result(database.read(lambda c: releases.page(c, page, limit=9, offset=0))) == (
        [second, first],
        2,
    )
    assert result(database.read(lambda c: releases.page(c, page, limit=1, offset=1))) == (
        [first],
        2,
    )
    assert result(database.read(lambda c: releases.get(c, page, "1"))) == first
    assert result(database.read(lambda c: releases.get(c, page, "3"))) is None


def test_pages_are_in_the_order_of_names(database):
    for name in ("c", "a", "b"):
        release(database, add(database, name), "1")
    first, total = result(database.read(lambda c: software.page(c, limit=2, offset=0)))
    rest, _ = result(database.read(lambda c: software.page(c, limit=2, offset=2)))
    assert [s.name for s in first + rest] == ["a", "b", "c"]
    assert [s.versions for s in first + rest] == [("1",)] * 3
    assert total == 3


@pytest.mark.parametrize(
    ("name", "slug", "key"), [("page", "x", "software.name"), ("x", "page", "software.slug")]
)
def test_names_and_slugs_are_one_of_a_kind(database, name, slug, key):
    add(database, "page")
    with pytest.raises(IntegrityError) as caught:
        add(database, name, slug)
    assert violated(caught.value) == key


def test_versions_are_one_of_a_kind_in_a_software(database):
    page = add(database, "page")
    release(database, page, "1")
    with pytest.raises(IntegrityError) as caught:
        release(database, page, "1")
    assert violated(caught.value) == "releases.software_id,version"


def test_removing_takes_the_releases_along(database):
    page = add(database, "page")
    release(database, page, "1")
    assert result(database.run(lambda c: software.remove(c, page))) is True
    assert result(database.run(lambda c: software.remove(c, page))) is False
    assert result(database.read(lambda c: software.get(c, page))) is None
    assert result(database.read(lambda c: releases.page(c, page, limit=9, offset=0))) == ([], 0)
