from __future__ import annotations

import pytest

from edgetainer.errors import CODES, EdgetainerError
from edgetainer.tunnel.closing import CLOSE_CODES, close_code, error_from_close


@pytest.mark.parametrize("name", sorted(CLOSE_CODES))
def test_reasons_survive_the_wire(name: str) -> None:
    assert error_from_close(close_code(EdgetainerError(name))).code == name


def test_every_error_has_a_close_code() -> None:
    assert {close_code(EdgetainerError(name)) for name in CODES} == set(CLOSE_CODES.values())
    assert len(set(CLOSE_CODES.values())) == len(CLOSE_CODES)


def test_no_close_code_is_one_that_http3_reserves() -> None:
    for number in CLOSE_CODES.values():
        assert (number - 0x21) % 0x1F != 0
        assert not 0x100 <= number <= 0x2FF


@pytest.mark.parametrize("alert", [42, 44, 45, 48, 116])
def test_a_refused_certificate_is_called_by_its_name(alert: int) -> None:
    assert error_from_close(0x100 + alert).code == "certificate_refused"


@pytest.mark.parametrize("code", [0, 1, 0x100, 0x100 + 40, 0x10C, 0x1FF, 2**62 - 1])
def test_anything_else_is_an_end_with_its_number(code: int) -> None:
    error = error_from_close(code)
    assert error.code == "session_closed"
    assert f"0x{code:x}" in error.detail
