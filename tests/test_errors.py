"""Each error code is stable, has a status of its class, and reads as a problem document."""

import re

import pytest

from edgetainer.errors import CODES, EdgetainerError


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_makes_a_problem_document(code: str) -> None:
    error = EdgetainerError(code, "what to do", field="name")
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert 400 <= error.status < 600
    assert error.problem() == {
        "type": f"urn:edgetainer:error:{code}",
        "title": CODES[code].title,
        "status": CODES[code].status,
        "detail": "what to do",
        "code": code,
        "field": "name",
    }


def test_an_unknown_code_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        EdgetainerError("no_such_code")


def test_the_title_stands_in_for_a_missing_detail() -> None:
    assert EdgetainerError("not_found").detail == CODES["not_found"].title
