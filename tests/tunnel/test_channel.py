from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.channel import FrameProtocol, HandoverProtocol
from edgetainer.tunnel.messages import (
    MAX_FRAME,
    MAX_HEADER,
    ControlTarget,
    FrameDecoder,
    FrameType,
    Resize,
    TcpTarget,
    encode_frame,
    encode_open,
)

from .recorder import HalfRecorder, Recorder

DONE = Failure(ConnectionDone())


class Frames(FrameProtocol):
    def __init__(self) -> None:
        self.got: list[tuple[FrameType, bytes]] = []

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.RESIZE:
            Resize.parse(payload)
        self.got.append((type, payload))


class Handover(HandoverProtocol):
    """Hands over when told to."""

    def __init__(self) -> None:
        self.header: bytes | None = None
        self.early: list[EdgetainerError | None] = []
        self.endings = 0
        self.on_ended = self._ended

    def _ended(self) -> None:
        self.endings += 1

    def header_received(self, body: bytes) -> None:
        if b"port" not in body:
            raise EdgetainerError("protocol_violation", "not for us")
        self.header = body

    def lost_early(self, error: EdgetainerError | None) -> None:
        self.early.append(error)


def connected(protocol: HandoverProtocol | FrameProtocol) -> StringTransport:
    transport = StringTransport()
    protocol.makeConnection(transport)
    return transport


class TestFrameProtocol:
    def test_hands_on_frames_as_they_become_whole(self) -> None:
        protocol = Frames()
        connected(protocol)
        wire = encode_frame(FrameType.DATA, b"ls\n") + Resize(80, 24).encode()
        for at in range(len(wire)):
            protocol.dataReceived(wire[at : at + 1])
        assert protocol.got == [
            (FrameType.DATA, b"ls\n"),
            (FrameType.RESIZE, b'{"columns":80,"rows":24}'),
        ]

    def test_sends_long_runs_in_several_frames(self) -> None:
        protocol = Frames()
        transport = connected(protocol)
        sent = bytes(range(256)) * (MAX_FRAME // 256) * 2 + b"tail"
        protocol.send_frame(FrameType.DATA, sent)
        decoder = FrameDecoder()
        decoder.push(transport.value())
        frames = list(iter(decoder.pull, None))
        assert [len(frame.payload) for frame in frames] == [MAX_FRAME, MAX_FRAME, 4]
        assert b"".join(frame.payload for frame in frames) == sent

    def test_never_cuts_a_record(self) -> None:
        protocol = Frames()
        connected(protocol)
        with pytest.raises(ValueError):
            protocol.send_frame(FrameType.SIGNAL, bytes(MAX_FRAME + 1))

    @pytest.mark.parametrize(
        "broken", [b"\x00\xff\xff\xff", encode_frame(FrameType.RESIZE, b"nonsense")]
    )
    def test_drops_the_channel_of_a_peer_that_breaks_the_protocol(self, broken: bytes) -> None:
        protocol = Frames()
        transport = connected(protocol)
        protocol.dataReceived(
            encode_frame(FrameType.DATA, b"a") + broken + encode_frame(FrameType.DATA, b"b")
        )
        assert protocol.got == [(FrameType.DATA, b"a")]
        assert transport.disconnected

    def test_hands_on_nothing_after_the_end(self) -> None:
        protocol = Frames()
        connected(protocol)
        protocol.connectionLost(DONE)
        protocol.dataReceived(encode_frame(FrameType.DATA, b"a"))
        assert protocol.got == []


HEADER = encode_open(TcpTarget("web", 80))


class TestHandoverProtocol:
    def test_keeps_what_came_early_for_the_owner(self) -> None:
        protocol, owner, said = Handover(), HalfRecorder(), []
        connected(protocol)
        protocol.dataReceived(HEADER + b"ea")
        protocol.dataReceived(b"rly")
        protocol.readConnectionLost()
        protocol.hand_over(owner, lambda: said.append((owner.connected, owner.data)))
        assert said == [(1, b"")]
        assert owner.data == b"early"
        assert owner.read_ended

    def test_what_arrives_during_the_handover_stays_in_order(self) -> None:
        protocol, owner = Handover(), Recorder()
        connected(protocol)
        protocol.dataReceived(HEADER + b"1")
        protocol.hand_over(owner, lambda: protocol.dataReceived(b"2"))
        protocol.dataReceived(b"3")
        assert owner.data == b"123"

    def test_an_owner_that_pauses_gets_nothing_until_it_resumes(self) -> None:
        class Paused(HalfRecorder):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()

        protocol, owner = Handover(), Paused()
        transport = connected(protocol)
        protocol.dataReceived(HEADER + b"early")
        protocol.readConnectionLost()
        protocol.hand_over(owner)
        assert transport.producerState == "paused"
        assert owner.data == b""
        assert not owner.read_ended
        protocol.dataReceived(b", under way")
        owner.transport.resumeProducing()
        assert transport.producerState == "producing"
        assert owner.data == b"early, under way"
        assert owner.read_ended
        owner.transport.write(b"answer")
        owner.transport.loseConnection()
        assert transport.value() == b"answer"
        assert transport.disconnecting

    def test_an_owner_may_pause_between_early_bytes(self) -> None:
        class Sipping(Recorder):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.pauseProducing()

        protocol, owner = Handover(), Sipping()
        connected(protocol)
        protocol.dataReceived(HEADER + b"1")
        protocol.hand_over(owner)
        protocol.dataReceived(b"2")
        assert owner.data == b"1"
        owner.transport.resumeProducing()
        assert owner.data == b"12"
        owner.transport.stopProducing()
        protocol.connectionLost(DONE)
        assert owner.lost is DONE

    def test_the_peers_end_closes_an_owner_that_knows_no_half_closed_state(self) -> None:
        protocol, owner = Handover(), Recorder()
        transport = connected(protocol)
        protocol.dataReceived(HEADER)
        protocol.hand_over(owner)
        protocol.readConnectionLost()
        assert transport.disconnecting
        assert not transport.disconnected
        protocol.connectionLost(DONE)
        assert owner.lost is DONE

    def test_both_halves_of_an_ending_reach_an_owner_that_knows_them(self) -> None:
        protocol, owner = Handover(), HalfRecorder()
        transport = connected(protocol)
        protocol.dataReceived(HEADER)
        protocol.hand_over(owner)
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        assert owner.read_ended
        assert owner.write_ended
        assert not transport.disconnecting

    def test_a_peer_that_says_too_much_too_early_is_dropped(self) -> None:
        protocol = Handover()
        transport = connected(protocol)
        protocol.dataReceived(HEADER)
        protocol.dataReceived(bytes(MAX_HEADER))
        assert not transport.disconnected
        protocol.dataReceived(b"x")
        assert transport.disconnected
        protocol.dataReceived(bytes(MAX_HEADER))
        assert [error and error.code for error in protocol.early] == ["protocol_violation"]

    @pytest.mark.parametrize(
        "data", [b"\xff\xff\xff\xff", encode_open(ControlTarget()), HEADER[:-1]]
    )
    def test_a_message_that_is_refused_or_unfinished_drops_the_channel(self, data: bytes) -> None:
        protocol = Handover()
        transport = connected(protocol)
        protocol.dataReceived(data)
        protocol.readConnectionLost()
        assert transport.disconnected
        protocol.connectionLost(DONE)
        assert [error and error.code for error in protocol.early] == ["protocol_violation"]
        assert protocol.endings == 1

    def test_a_stream_that_is_lost_early_says_so_once(self) -> None:
        protocol = Handover()
        connected(protocol)
        protocol.dataReceived(HEADER)
        protocol.connectionLost(DONE)
        protocol.connectionLost(DONE)
        assert protocol.early == [None]
        assert protocol.endings == 1
