"""The short way of a packet does what the base's long one does."""

from __future__ import annotations

from typing import Any

import pytest
from aioquic import tls
from aioquic.buffer import encode_uint_var
from aioquic.quic import events
from aioquic.quic.connection import QuicConnection, QuicNetworkPath
from aioquic.quic.packet import QuicErrorCode, QuicFrameType

from edgetainer.quic.connection import Connection
from edgetainer.quic.errors import ConnectionClosed
from edgetainer.quic.ordinary import JOIN_MAX, Ordinary
from tests.quic.pair import Echo, Pair, Recorder, pattern


def quics(pair: Pair) -> tuple[Connection, Connection]:
    return pair.client.driver.quic, pair.server_connection.driver.quic


def exchange(**network: Any) -> dict[str, Any]:
    """Bytes both ways over a bad link, and everything that can be told of it after."""
    pair = Pair(**network)
    server, client = Recorder(), Echo()
    pair.channel(server, client)
    server.transport.write(pattern(300_000))
    pair.network.until(lambda: len(server.data) == 300_000)
    pair.network.pass_time(1)
    told: dict[str, Any] = {"whole": server.data == pattern(300_000)}
    for name, quic in zip(("client", "server"), quics(pair), strict=True):
        space = quic._spaces[tls.Epoch.ONE_RTT]
        told[name] = (
            space.expected_packet_number,
            space.largest_received_packet,
            space.largest_received_time,
            [(each.start, each.stop) for each in space.ack_queue],
            quic._spin_bit,
            quic._close_at,
            quic.last_received,
            quic.host_cid == quic._host_cids[0].cid,
        )
    return told | {"carried": pair.network.carried, "lost": pair.network.lost}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_bad_link_leaves_both_ends_as_the_long_way_does(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    link: dict[str, Any] = {"seed": seed, "loss": 0.03, "jitter": 0.005, "duplicate": 0.05}
    short = exchange(**link)
    monkeypatch.setattr(Ordinary, "_receive_ordinary", lambda self, data, addr, now: False)
    assert exchange(**link) == short
    assert short["whole"]


def test_after_the_handshake_packets_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    pair.network.pass_time(1)
    monkeypatch.setattr(QuicConnection, "receive_datagram", None)
    server, client = Recorder(), Echo()
    pair.channel(server, client)
    server.transport.write(pattern(50_000))
    pair.network.pass_time(1)
    assert server.data == pattern(50_000)


class Capture:
    """The datagrams that the server's end sends are kept instead of carried."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.channel = Recorder()
        pair.channel(self.channel, Recorder())
        pair.network.pass_time(1)

    def packet(self) -> bytes:
        """One ordinary packet for the client."""
        self.channel.transport.write(b"x" * 100)
        quic = self.pair.server_connection.driver.quic
        ((data, _),) = quic.datagrams_to_send(now=self.pair.network.clock.seconds())
        return data

    def take(self, data: bytes) -> bool:
        """Whether the client took it on the short way."""
        client = self.pair.client.driver
        assert client.route is not None
        now = self.pair.network.clock.seconds()
        return client.quic._receive_ordinary(data, client.route, now)


def test_forged_and_repeated_packets_change_nothing() -> None:
    capture = Capture(Pair())
    quic, _ = quics(capture.pair)
    data = capture.packet()
    space = quic._spaces[tls.Epoch.ONE_RTT]
    before = space.largest_received_packet
    forged = data[:-1] + bytes([data[-1] ^ 1])
    assert capture.take(forged), "and dropped"
    assert space.largest_received_packet == before
    assert capture.take(data)
    assert space.largest_received_packet == before + 1
    assert not capture.take(data), "the base drops duplicates"
    assert quic._close_event is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda quic: setattr(quic, "host_cid", b"otherone"),
        lambda quic: quic._host_cids.clear(),
        lambda quic: setattr(quic._network_paths[0], "is_validated", False),
        lambda quic: quic._network_paths.insert(0, QuicNetworkPath(("192.0.2.99", 1))),
        lambda quic: setattr(quic._peer_cid, "sequence_number", None),
        lambda quic: quic.close(),
        lambda quic: setattr(quic, "_quic_logger", object()),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_base(spoil: Any) -> None:
    capture = Capture(Pair())
    quic, _ = quics(capture.pair)
    data = capture.packet()
    spoil(quic)
    if quic._close_pending:
        quic.datagrams_to_send(now=capture.pair.network.clock.seconds())
    assert not capture.take(data)


@pytest.mark.parametrize("data", [b"", b"\x40", b"\xc0" + bytes(1200), b"\x40" + bytes(30)])
def test_what_is_no_packet_of_ours_is_left_to_the_base(data: bytes) -> None:
    assert not Capture(Pair()).take(data)


def test_a_peer_that_breaks_the_rules_is_told_so() -> None:
    pair = Pair()
    pair.network.pass_time(1)
    client, server = quics(pair)
    over = pair.client.notify_close()
    original = server._payload_received

    def spoiled(context: Any, plain: bytes, crypto_frame_required: bool = False) -> Any:
        # As if the client had sent a frame that only servers may send.
        return original(context, encode_uint_var(QuicFrameType.HANDSHAKE_DONE))

    server._payload_received = spoiled  # type: ignore[method-assign]
    pair.client.ping().addErrback(lambda _: None)
    with pytest.raises(ConnectionClosed) as caught:
        pair.network.run(over)
    assert caught.value.code == QuicErrorCode.PROTOCOL_VIOLATION
    assert client.ended_by_peer


def queue(*received: tuple[int, bytes, bool]) -> Connection:
    quic, _ = quics(Pair())
    while quic.next_event() is not None:
        pass
    for stream_id, data, ended in received:
        quic._events.append(
            events.StreamDataReceived(data=data, end_stream=ended, stream_id=stream_id)
        )
    return quic


def drain(quic: Connection) -> list[Any]:
    told: list[Any] = []
    while (event := quic.next_event()) is not None:
        if isinstance(event, events.StreamDataReceived):
            told.append((event.stream_id, event.data, event.end_stream))
        else:
            told.append(type(event).__name__)
    return told


def test_what_came_in_a_row_on_one_stream_is_told_at_once() -> None:
    quic = queue((0, b"a", False), (0, b"b", False), (4, b"c", False), (0, b"d", False))
    quic._events.append(events.PingAcknowledged(uid=1))
    quic._events.append(events.StreamDataReceived(data=b"e", end_stream=False, stream_id=0))
    assert drain(quic) == [
        (0, b"ab", False),
        (4, b"c", False),
        (0, b"d", False),
        "PingAcknowledged",
        (0, b"e", False),
    ]


def test_the_end_of_a_stream_ends_what_is_joined() -> None:
    quic = queue((0, b"a", False), (0, b"", True), (4, b"c", True), (4, b"", False))
    assert drain(quic) == [(0, b"a", True), (4, b"c", True), (4, b"", False)]


def test_a_reader_gets_a_chance_to_pause() -> None:
    piece = bytes(1000)
    told = drain(queue(*[(0, piece, False)] * 200))
    assert sum(len(data) for _, data, _ in told) == 200_000
    assert all(len(data) < JOIN_MAX + 1000 for _, data, _ in told)
    assert len(told) == 4


def test_epochs_are_found_as_before() -> None:
    assert {epoch: epoch.name for epoch in tls.Epoch}[tls.Epoch.ONE_RTT] == "ONE_RTT"
    assert len(set(tls.Epoch)) == 4
    assert tls.Epoch.__hash__ is object.__hash__
