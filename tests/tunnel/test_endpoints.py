from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.quic.schedule import Priority
from edgetainer.tunnel.channel import HandoverProtocol
from edgetainer.tunnel.endpoints import ChannelAddress, ChannelEndpoint
from edgetainer.tunnel.messages import TcpTarget, encode_open, encode_reply

from .recorder import Recorder

TARGET = TcpTarget("web", 80)


class OneStream:
    """A session whose streams are read and answered by the test."""

    device_id = "dev-1"

    def __init__(self) -> None:
        self.reactor: Any = Clock()
        self.closed: EdgetainerError | None = None
        self.transport = StringTransport()
        self.refusal: EdgetainerError | None = None

    def open(self, protocol: HandoverProtocol, priority: Priority) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.protocol = protocol
        self.priority = priority
        protocol.makeConnection(self.transport)


class Tale:
    def __init__(self, session: OneStream | None = None, target: Any = TARGET) -> None:
        self.session = session or OneStream()
        self.addresses: list[object] = []
        self.result: list[object] = []
        self.deferred = self._connect(target)
        self.deferred.addBoth(self.result.append)

    def _connect(self, target: Any) -> Deferred[IProtocol]:
        tale = self

        class Recorders(Factory):
            def buildProtocol(self, addr: object) -> Recorder:
                tale.addresses.append(addr)
                return Recorder()

        return ChannelEndpoint(self.session, target).connect(Recorders())

    @property
    def protocol(self) -> Recorder:
        [protocol] = self.result
        assert isinstance(protocol, Recorder)
        return protocol

    @property
    def code(self) -> str:
        [failure] = self.result
        assert isinstance(failure, Failure)
        assert isinstance(failure.value, EdgetainerError)
        return failure.value.code

    def idle(self) -> bool:
        return not self.session.reactor.getDelayedCalls()


def test_connects_once_the_device_has_accepted() -> None:
    tale = Tale()
    assert tale.session.transport.value() == encode_open(TARGET)
    assert tale.session.priority is Priority.BULK
    assert tale.result == []
    for byte in encode_reply(None):
        tale.session.protocol.dataReceived(bytes([byte]))
    assert tale.protocol.transport is tale.session.transport
    assert tale.addresses == [ChannelAddress("dev-1", TARGET)]
    tale.session.protocol.dataReceived(b"HTTP/1.1 200")
    assert tale.protocol.data == b"HTTP/1.1 200"
    assert tale.idle()


def test_bytes_that_come_with_the_reply_find_the_caller_ready() -> None:
    tale = Tale()
    seen: list[bytes] = []
    tale.deferred.addCallback(lambda _: seen.append(tale.protocol.data))
    tale.session.protocol.dataReceived(encode_reply(None) + b"SSH-2.0")
    assert seen == [b""]
    assert tale.protocol.data == b"SSH-2.0"


def test_a_refusal_arrives_with_the_devices_own_code() -> None:
    tale = Tale()
    tale.session.protocol.dataReceived(encode_reply(EdgetainerError("port_closed", "80 is shut")))
    assert tale.code == "port_closed"
    assert tale.session.transport.disconnecting
    assert not tale.session.transport.disconnected
    assert tale.addresses == []
    assert tale.idle()
    tale.session.protocol.connectionLost(Failure(ConnectionDone()))


def test_a_device_that_says_nothing_is_given_15_seconds() -> None:
    tale = Tale()
    tale.session.reactor.advance(14.9)
    assert tale.result == []
    tale.session.reactor.advance(0.2)
    assert tale.code == "device_timeout"
    assert tale.session.transport.disconnected
    tale.session.protocol.dataReceived(encode_reply(None))
    tale.session.protocol.connectionLost(Failure(ConnectionDone()))
    assert tale.addresses == []


@pytest.mark.parametrize(
    "reply", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x01x"]
)
def test_a_reply_that_cannot_be_read_drops_the_channel(reply: bytes) -> None:
    tale = Tale()
    tale.session.protocol.dataReceived(reply)
    assert tale.code == "protocol_violation"
    assert tale.session.transport.disconnected
    assert tale.idle()


def test_a_stream_lost_before_the_reply_says_why() -> None:
    tale = Tale()
    tale.session.protocol.connectionLost(Failure(ConnectionDone()))
    assert tale.code == "channel_refused"
    tale = Tale()
    tale.session.closed = EdgetainerError("session_replaced")
    tale.session.protocol.connectionLost(Failure(ConnectionDone()))
    assert tale.code == "session_replaced"
    assert tale.idle()


def test_a_session_that_opens_nothing_fails_the_connect() -> None:
    session = OneStream()
    session.refusal = EdgetainerError("channel_limit")
    tale = Tale(session)
    assert tale.code == "channel_limit"
    assert tale.idle()


def test_cancelling_drops_the_channel() -> None:
    tale = Tale()
    tale.deferred.cancel()
    [failure] = tale.result
    assert isinstance(failure, Failure)
    assert failure.check(CancelledError)
    assert tale.session.transport.disconnected
    assert tale.idle()
    tale.session.protocol.connectionLost(Failure(ConnectionDone()))


def test_a_factory_that_wants_nothing_any_more() -> None:
    class Nobody(Factory):
        def buildProtocol(self, addr: object) -> None:
            return None

    session, result = OneStream(), []
    ChannelEndpoint(session, TARGET).connect(Nobody()).addErrback(result.append)
    session.protocol.dataReceived(encode_reply(None))
    assert result[0].value.code == "unavailable"
    assert session.transport.disconnected
