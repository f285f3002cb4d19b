"""What a peer's HTTP/3 frames may make us hold."""

from __future__ import annotations

import pytest
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import ErrorCode

from edgetainer.quic.credit import STREAM_WINDOW
from edgetainer.quic.errors import ConnectionClosed
from edgetainer.quic.framing import MAX_HEADER_BLOCK
from tests.quic.pair import Pair


@pytest.fixture
def pair() -> Pair:
    return Pair()


def _send(pair: Pair, data: bytes) -> int:
    quic = pair.client.driver.quic
    stream_id = quic.get_next_available_stream_id()
    quic.send_stream_data(stream_id, data)
    pair.client.driver.transmit_soon()
    return stream_id


def _over(pair: Pair) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        pair.network.run(pair.server_connection.notify_close())
    return int(caught.value.code)


def test_an_enormous_header_block_ends_the_connection_at_its_announcement(pair: Pair) -> None:
    _send(pair, encode_uint_var(1) + encode_uint_var(1 << 40) + b"x")
    assert _over(pair) == ErrorCode.H3_EXCESSIVE_LOAD


def test_headers_that_expand_end_the_connection(pair: Pair) -> None:
    # Each is one byte on the wire: an entry of the static table.
    entry = (b"content-security-policy", b"script-src 'none'; object-src 'none'; base-uri 'none'")
    many = [entry] * 700
    framing = pair.client.framing
    framing.send_headers(pair.client.driver.quic.get_next_available_stream_id(), many)
    pair.client.driver.transmit_soon()
    assert _over(pair) == ErrorCode.H3_EXCESSIVE_LOAD


def test_a_frame_that_never_ends_is_held_within_the_window(pair: Pair) -> None:
    stream_id = _send(
        pair, encode_uint_var(1) + encode_uint_var(MAX_HEADER_BLOCK) + bytes(MAX_HEADER_BLOCK - 1)
    )
    pair.network.pass_time(2)
    server = pair.server_connection
    assert server.framing.held(stream_id) == MAX_HEADER_BLOCK - 1
    assert server._uncredited == {stream_id: MAX_HEADER_BLOCK - 1}
    quic = server.driver.quic
    assert quic._local_max_data.used - quic._window.consumed == MAX_HEADER_BLOCK - 1
    assert MAX_HEADER_BLOCK < STREAM_WINDOW, "else an honest block could never arrive"
    pair.client.driver.quic.abandon(stream_id, 0x10C, reading=True, writing=True)
    pair.client.driver.transmit_soon()
    pair.network.pass_time(2)
    assert server._uncredited == {}
    assert quic._local_max_data.used == quic._window.consumed


def test_unknown_frames_are_skipped_and_credited(pair: Pair) -> None:
    stream_id = _send(pair, encode_uint_var(0x2F) + encode_uint_var(3 << 20) + bytes(3 << 20))
    pair.network.until(lambda: pair.client.driver.quic.unsent(stream_id) == 0)
    pair.network.run(pair.client.ping())
    assert pair.server_connection.framing.held(stream_id) == 0


def test_settings_say_what_is_accepted(pair: Pair) -> None:
    settings = pair.client.framing.received_settings
    assert settings is not None
    assert settings[0x6] == 65536
    assert settings[0x7] == 0
    assert pair.client.framing.peer_speaks_webtransport()
