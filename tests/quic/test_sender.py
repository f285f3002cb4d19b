"""Bytes that are sent more than once arrive once, in order, whatever happens."""

from __future__ import annotations

import pytest
from aioquic.quic import events
from aioquic.quic.packet import QuicStreamFrame
from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.quic.stream import QuicStreamReceiver
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetainer.quic.sender import StreamSender
from tests.quic.pair import pattern

ACKED, LOST = QuicDeliveryState.ACKED, QuicDeliveryState.LOST


class Packet:
    """A frame under way."""

    def __init__(self, frame: QuicStreamFrame) -> None:
        self.frame = frame
        self.range = (frame.offset, frame.offset + len(frame.data), frame.fin)
        self.told_lost = False


class Exchange:
    """A sender, a receiver and the packets between them; the fates are drawn."""

    def __init__(self, size: int) -> None:
        self.sender = StreamSender(0, True)
        self.receiver = QuicStreamReceiver(0, True)
        self.data = pattern(size)
        self.written = 0
        self.flying: list[Packet] = []
        self.received = bytearray()
        self.ended = 0
        self.arrived: set[int] = set()

    def write(self, size: int) -> None:
        piece = self.data[self.written : self.written + size]
        end = self.written < len(self.data) and self.written + size >= len(self.data)
        if piece:
            self.sender.write(piece, end)
            self.written += len(piece)

    def send(self, size: int) -> None:
        frame = self.sender.get_frame(size)
        if frame is not None:
            for at in range(frame.offset, frame.offset + len(frame.data)):
                assert at not in self.arrived, "acknowledged bytes never go again"
            self.flying.append(Packet(frame))

    def deliver(self, packet: Packet) -> None:
        # The receiver changes its frame, and a packet may come twice.
        frame = packet.frame
        event = self.receiver.handle_frame(
            QuicStreamFrame(data=frame.data, fin=frame.fin, offset=frame.offset)
        )
        if isinstance(event, events.StreamDataReceived):
            self.received += event.data
            self.ended += event.end_stream
        start, stop, _ = packet.range
        self.arrived |= set(range(start, stop))
        self.flying.remove(packet)
        self.sender.on_data_delivery(ACKED, *packet.range)

    def give_up(self, packet: Packet, *, gone: bool) -> None:
        """It counts as lost; unless `gone` it may still arrive."""
        if not packet.told_lost:
            packet.told_lost = True
            self.sender.on_data_delivery(LOST, *packet.range)
        if gone:
            self.flying.remove(packet)

    def again(self, packet: Packet) -> None:
        """Sent early once more, the first copy still under way."""
        self.sender.send_again(*packet.range)

    def finish(self) -> None:
        """From now on everything arrives."""
        self.write(len(self.data))
        for _ in range(10_000):
            if self.sender.is_finished:
                return
            self.send(1000)
            for packet in list(self.flying):
                self.deliver(packet)
        raise AssertionError("bytes were forgotten")


PICK = st.integers(0, 10**6)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 40)),
        st.tuples(st.just("send"), st.integers(0, 30)),
        st.tuples(st.sampled_from(["deliver", "late", "gone", "again"]), PICK),
    ),
    max_size=80,
)


def play(exchange: Exchange, actions: list[tuple[str, int]]) -> None:
    for action, number in actions:
        if action in ("write", "send"):
            getattr(exchange, action)(number)
        elif exchange.flying:
            packet = exchange.flying[number % len(exchange.flying)]
            if action == "deliver":
                exchange.deliver(packet)
            elif action == "again":
                exchange.again(packet)
            else:
                exchange.give_up(packet, gone=action == "gone")


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 300), ACTIONS)
def test_every_byte_arrives_once_in_order(size: int, actions: list[tuple[str, int]]) -> None:
    arrives_once_in_order(size, actions)


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None)
@given(st.integers(1, 300), ACTIONS)
def test_every_byte_arrives_once_in_order_20000_times(
    size: int, actions: list[tuple[str, int]]
) -> None:
    arrives_once_in_order(size, actions)


def arrives_once_in_order(size: int, actions: list[tuple[str, int]]) -> None:
    exchange = Exchange(size)
    play(exchange, actions)
    exchange.finish()
    assert bytes(exchange.received) == exchange.data
    assert exchange.ended == 1
    assert len(exchange.sender._buffer) == 0
    assert exchange.sender.buffer_is_empty


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 300), ACTIONS, st.lists(st.booleans(), max_size=10))
def test_a_reset_ends_it_whatever_was_under_way(
    size: int, actions: list[tuple[str, int]], fates: list[bool]
) -> None:
    exchange = Exchange(size)
    play(exchange, actions)
    sender = exchange.sender
    if sender.is_finished:
        return
    sender.reset(7)
    for arrived in [*fates, True]:
        assert sender.reset_pending
        frame = sender.get_reset_frame()
        assert (frame.error_code, frame.final_size) == (7, sender.highest_offset)
        for packet in exchange.flying:
            sender.on_data_delivery(LOST, *packet.range)
            sender.send_again(*packet.range)
        assert sender.buffer_is_empty, "its bytes are wanted no more"
        sender.on_reset_delivery(ACKED if arrived else LOST)
        if arrived:
            break
    assert sender.is_finished
    sender.on_reset_delivery(LOST)
    assert not sender.reset_pending, "a copy that is thought lost changes nothing"
