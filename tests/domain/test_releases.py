from __future__ import annotations

import pytest

from edgetainer.domain.releases import MAX_SLUG, check_version, digest, next_version, slug
from edgetainer.errors import EdgetainerError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Page", "page"),
        ("My Café -- Menu!", "my-cafe-menu"),
        ("_a_", "a"),
        ("x" * 100, "x" * MAX_SLUG),
        ("a" * (MAX_SLUG - 1) + " b", "a" * (MAX_SLUG - 1)),
        ("4G modem", "4g-modem"),
    ],
)
def test_a_slug_is_a_compose_project_name(name: str, expected: str) -> None:
    assert slug(name) == expected


@pytest.mark.parametrize("name", ["", "---", "店"])
def test_a_name_without_a_letter_or_digit_has_no_slug(name: str) -> None:
    with pytest.raises(EdgetainerError) as caught:
        slug(name)
    assert (caught.value.code, caught.value.field) == ("invalid_field", "name")


@pytest.mark.parametrize("version", ["1", "v1.2.3", "2026-01-01", "1.0+build_7", "x" * 64])
def test_versions_that_can_name_a_release(version: str) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize("version", ["", " ", "-1", "../1", "a/b", "1\n", "x" * 65, "1 2"])
def test_versions_that_cannot(version: str) -> None:
    with pytest.raises(EdgetainerError) as caught:
        check_version(version)
    assert (caught.value.code, caught.value.field) == ("invalid_field", "version")


def test_counted_versions_go_on_from_the_highest() -> None:
    assert next_version([]) == "1"
    assert next_version(["1", "3", "v9", "2.0", "007", "9" * 30]) == "4"


def test_the_digest_tells_two_files_apart() -> None:
    assert digest("a") == "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert digest("a") != digest("b")
