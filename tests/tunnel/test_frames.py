from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.frames import (
    Doorbell,
    Exit,
    Frame,
    FrameDecoder,
    FrameType,
    Resize,
    Signal,
    encode_frame,
)
from edgetainer.tunnel.limits import MAX_FRAME

from .strategies import cuts, records


def pull_all(decoder: FrameDecoder) -> list[Frame]:
    return list(iter(decoder.pull, None))


def test_the_bytes_of_a_frame() -> None:
    assert encode_frame(FrameType.STDERR, b"oh") == b"\x01\x00\x00\x02oh"
    assert encode_frame(FrameType.EOF) == b"\x02\x00\x00\x00"


@given(
    st.data(),
    st.lists(st.tuples(st.sampled_from(FrameType), st.binary(max_size=200)), max_size=6),
)
def test_frames_survive_any_cutting(
    data: st.DataObject, frames: list[tuple[FrameType, bytes]]
) -> None:
    wire = b"".join(encode_frame(*frame) for frame in frames)
    decoder, got = FrameDecoder(), []
    for piece in data.draw(cuts(wire)):
        decoder.push(piece)
        got += pull_all(decoder)
    assert got == frames
    assert decoder.buffered == 0


def test_types_from_the_future_are_skipped() -> None:
    decoder = FrameDecoder()
    decoder.push(b"\x63\x00\x00\x03abc" + encode_frame(FrameType.DATA, b"x"))
    assert pull_all(decoder) == [Frame(FrameType.DATA, b"x")]


def test_the_largest_frame_passes_and_one_byte_more_does_not() -> None:
    decoder = FrameDecoder()
    decoder.push(encode_frame(FrameType.DATA, bytes(MAX_FRAME)))
    assert len(pull_all(decoder)[0].payload) == MAX_FRAME
    with pytest.raises(ValueError):
        encode_frame(FrameType.DATA, bytes(MAX_FRAME + 1))
    decoder.push(b"\x00" + (MAX_FRAME + 1).to_bytes(3, "big"))
    with pytest.raises(EdgetainerError) as caught:
        decoder.pull()
    assert caught.value.code == "protocol_violation"


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_violation(data: bytes) -> None:
    decoder = FrameDecoder()
    decoder.push(data)
    try:
        frames = pull_all(decoder)
    except EdgetainerError as error:
        problem = error.problem()
        frames = []
    else:
        problem = None
    assert problem is None or problem["code"] == "protocol_violation"
    assert sum(4 + len(frame.payload) for frame in frames) + decoder.buffered <= len(data)


@given(records)
def test_records_round_trip(record: Resize | Signal | Exit | Doorbell) -> None:
    decoder = FrameDecoder()
    decoder.push(record.encode())
    frame = decoder.pull()
    assert frame is not None
    assert frame.type is record.TYPE
    assert type(record).parse(frame.payload) == record


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (Resize, b"{}"),
        (Resize, b'{"columns":0,"rows":5}'),
        (Resize, b'{"columns":80,"rows":5000}'),
        (Resize, b'{"columns":true,"rows":5}'),
        (Signal, b'{"name":"int; rm"}'),
        (Signal, b'{"name":9}'),
        (Exit, b'{"code":"0"}'),
        (Exit, b'{"code":0,"signal":[]}'),
        (Doorbell, b'{"revision":-1}'),
        (Doorbell, b"[1]"),
    ],
)
def test_wrong_records_are_refused(kind: type[Resize], payload: bytes) -> None:
    with pytest.raises(EdgetainerError):
        kind.parse(payload)


def test_fields_from_the_future_are_ignored() -> None:
    assert Exit.parse(b'{"code":3,"signal":null,"core_dumped":true}') == Exit(3, None)
