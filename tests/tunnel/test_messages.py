from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetainer.errors import CODES, EdgetainerError
from edgetainer.tunnel.messages import (
    MAX_HEADER,
    MAX_HELLO,
    HeaderDecoder,
    Target,
    encode_hello,
    encode_open,
    encode_reply,
    error_from,
    parse_hello,
    parse_open,
    parse_reply,
)

from .strategies import cuts, targets


@given(st.data(), targets, st.binary(max_size=100))
def test_a_header_survives_any_cutting(data: st.DataObject, target: Target, rest: bytes) -> None:
    decoder, bodies, after = HeaderDecoder(), [], b""
    for piece in data.draw(cuts(encode_open(target) + rest)):
        if bodies:
            after += piece
            continue
        body = decoder.push(piece)
        if body is not None:
            bodies.append(body)
            after = decoder.rest
        else:
            assert decoder.rest == b""
    assert [parse_open(body) for body in bodies] == [target]
    assert after == rest


def test_a_header_too_long_is_refused_at_its_length() -> None:
    with pytest.raises(EdgetainerError) as caught:
        HeaderDecoder().push((MAX_HEADER + 1).to_bytes(4, "big"))
    assert caught.value.code == "protocol_violation"


@pytest.mark.parametrize("code", sorted(CODES))
def test_refusals_round_trip(code: str) -> None:
    refusal = parse_reply(encode_reply(EdgetainerError(code, "why\nnot"))[4:])
    assert refusal is not None
    assert (refusal.code, refusal.detail) == (code, "why\ufffdnot")


def test_acceptance_round_trips() -> None:
    assert encode_reply(None)[4:] == b'{"ok":true}'
    assert parse_reply(encode_reply(None)[4:]) is None
    assert parse_reply(b'{"ok":true,"resume":"abc"}') is None


@pytest.mark.parametrize("body", [b"{}", b'{"ok":1}', b'{"ok":"yes"}', b"true", b"\x00"])
def test_what_is_no_reply_is_a_violation(body: bytes) -> None:
    with pytest.raises(EdgetainerError) as caught:
        parse_reply(body)
    assert caught.value.code == "protocol_violation"


def test_a_code_from_the_future_keeps_its_name_in_the_detail() -> None:
    error = error_from({"code": "moon_closed", "detail": "Come back."}, otherwise="channel_refused")
    assert (error.code, error.detail) == ("channel_refused", "Come back. (moon_closed)")
    assert error_from({"code": 5, "detail": []}, otherwise="unavailable").code == "unavailable"
    assert error_from({}, otherwise="unavailable").detail


def test_hellos_round_trip_and_are_bounded() -> None:
    value = encode_hello({"agent_version": "1.0", "name": "Zoë"})
    assert value.isascii()
    assert parse_hello(value) == {"agent_version": "1.0", "name": "Zoë", "v": 1}
    with pytest.raises(EdgetainerError):
        encode_hello({"name": "x" * MAX_HELLO})
    for wrong in (b"{}", b"", b'{"v":"1"}', b'{"v":1,"x":"' + b"x" * MAX_HELLO + b'"}'):
        with pytest.raises(EdgetainerError):
            parse_hello(wrong)
