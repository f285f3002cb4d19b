from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from edgetainer.tunnel.control import ControlChannel, Ears
from edgetainer.tunnel.messages import Doorbell, FrameType, encode_frame


def test_a_ring_reaches_the_ears() -> None:
    heard: list[int] = []
    bell, ears = ControlChannel(), Ears(heard.append)
    wire = StringTransport()
    bell.makeConnection(wire)
    ears.makeConnection(StringTransport())
    bell.ring(7)
    bell.ring(8)
    ears.dataReceived(wire.value())
    assert heard == [7, 8]


def test_a_device_that_does_not_read_gets_the_newest_ring_only() -> None:
    bell, wire = ControlChannel(), StringTransport()
    bell.makeConnection(wire)
    wire.producer.pauseProducing()
    for revision in (5, 9, 7):
        bell.ring(revision)
    assert wire.value() == b""
    wire.producer.resumeProducing()
    assert wire.value() == Doorbell(9).encode()
    wire.producer.resumeProducing()
    assert wire.value() == Doorbell(9).encode()


def test_the_end_is_told_and_rings_after_it_go_nowhere() -> None:
    bell, wire, ends = ControlChannel(), StringTransport(), []
    bell.makeConnection(wire)
    bell.notify_end(lambda: ends.append(1))
    bell.connectionLost(Failure(ConnectionDone()))
    bell.ring(3)
    assert ends == [1]
    assert wire.value() == b""


def test_ears_ignore_what_they_do_not_know_and_drop_what_is_wrong() -> None:
    heard: list[int] = []
    ears, wire = Ears(heard.append), StringTransport()
    ears.makeConnection(wire)
    ears.dataReceived(encode_frame(FrameType.DATA, b"psst") + b"\x7f\x00\x00\x01?")
    assert not wire.disconnected
    ears.dataReceived(encode_frame(FrameType.DOORBELL, b"ding"))
    assert wire.disconnected
    assert heard == []
