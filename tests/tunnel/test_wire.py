from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.limits import MAX_HEADER
from edgetainer.tunnel.wire import (
    MAX_DEPTH,
    MAX_DETAIL,
    check_integer,
    check_number,
    check_text,
    dump_object,
    dump_prefixed,
    load_object,
    printable,
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"[]",
        b"1",
        b"null",
        b"\xff\xfe",
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"a":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":9007199254740992}',
        b'{"a":' + b"9" * 5_000 + b"}",
        rb'{"a":"\ud800"}',
        rb'{"\udc00":1}',
        rb'{"a":["x\u0000y"]}',
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 16_000,
        b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    ],
)
def test_refuses_everything_but_i_json(data: bytes) -> None:
    with pytest.raises(EdgetainerError) as caught:
        load_object(data)
    assert caught.value.code == "protocol_violation"
    assert len(caught.value.detail) <= MAX_DETAIL


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        code = None if isinstance(load_object(data), dict) else "not a dict"
    except EdgetainerError as error:
        code = error.code
    assert code in (None, "protocol_violation")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("k"), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text("abcé\N{SNOWMAN}", max_size=4), values, max_size=4))
def test_reads_what_it_wrote(fields: dict[str, object]) -> None:
    data = dump_object(fields)
    assert data.isascii()
    assert b"\n" not in data
    assert load_object(data) == fields


def test_never_writes_what_is_not_json() -> None:
    with pytest.raises(ValueError):
        dump_object({"a": float("nan")})


def test_prefixes_the_length_and_bounds_it() -> None:
    message = dump_prefixed({"a": 1})
    assert message == b"\x00\x00\x00\x07" + b'{"a":1}'
    fits = "x" * (MAX_HEADER - len(b'{"a":""}'))
    assert len(dump_prefixed({"a": fits})) == 4 + MAX_HEADER
    with pytest.raises(EdgetainerError) as caught:
        dump_prefixed({"a": fits + "x"})
    assert caught.value.code == "invalid_field"


def test_cleans_what_goes_to_the_log() -> None:
    assert printable("a\r\nb\x1b[2J") == "a\ufffd\ufffdb\ufffd[2J"
    assert len(printable("x" * 5_000)) == MAX_DETAIL


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 0, 11, 10**400, []])
def test_an_integer_is_an_integer_in_its_range(value: object) -> None:
    with pytest.raises(EdgetainerError) as caught:
        check_integer("n", value, least=1, most=10)
    assert (caught.value.code, caught.value.field) == ("invalid_field", "n")
    assert check_integer("n", 10, least=1, most=10) == 10


@pytest.mark.parametrize(
    "value", [False, "1", None, 0, -1, 10.5, float("nan"), float("inf"), 10**400]
)
def test_a_number_is_finite_and_in_its_range(value: object) -> None:
    with pytest.raises(EdgetainerError):
        check_number("n", value, above=0, most=10)
    assert check_number("n", 10, above=0, most=10) == 10.0


@pytest.mark.parametrize("value", [None, 5, b"x", "", "x" * 11, "a\0b", "\ud800"])
def test_a_text_is_clean_and_in_its_length(value: object) -> None:
    with pytest.raises(EdgetainerError):
        check_text("t", value, most=10)
    assert check_text("t", "ünï", most=10) == "ünï"
    json.dumps(check_text("t", "x" * 10, most=10))
