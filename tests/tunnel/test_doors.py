from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.doors import IncomingChannel
from edgetainer.tunnel.messages import Target, TcpTarget, encode_open, encode_reply

from .recorder import HalfRecorder

TARGET = TcpTarget("web", 80)
DONE = Failure(ConnectionDone())


class Doorman:
    """Opens each door when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Target] = []
        self.cancelled = 0
        self.answer: Deferred[Any] = Deferred()

    async def open(self, target: Target) -> IProtocol:
        self.asked.append(target)
        try:
            return await self.answer  # type: ignore[no-any-return]
        except CancelledError:
            self.cancelled += 1
            raise


class Knock:
    def __init__(self) -> None:
        self.clock = Clock()
        self.doors = Doorman()
        self.transport = StringTransport()
        self.channel = IncomingChannel(reactor=self.clock, doors=self.doors)  # type: ignore[arg-type]
        self.channel.makeConnection(self.transport)

    def idle(self) -> bool:
        return not self.clock.getDelayedCalls()


def test_a_door_that_opens_gets_the_stream() -> None:
    knock, owner = Knock(), HalfRecorder()
    knock.channel.dataReceived(encode_open(TARGET))
    assert knock.doors.asked == [TARGET]
    assert knock.transport.value() == b""
    knock.channel.dataReceived(b"early")
    knock.doors.answer.callback(owner)
    assert knock.transport.value() == encode_reply(None)
    knock.transport.clear()
    owner.transport.write(b"welcome")
    assert knock.transport.value() == b"welcome"
    knock.channel.dataReceived(b" and late")
    knock.channel.readConnectionLost()
    assert owner.data == b"early and late"
    assert owner.read_ended
    knock.channel.connectionLost(DONE)
    assert owner.lost is DONE
    assert knock.idle()


def test_a_door_that_refuses_says_why_and_ends_cleanly() -> None:
    knock, error = Knock(), EdgetainerError("service_not_exposed", "web:80 is not exposed")
    knock.channel.dataReceived(encode_open(TARGET))
    knock.doors.answer.errback(error)
    assert knock.transport.value() == encode_reply(error)
    assert knock.transport.disconnecting
    assert not knock.transport.disconnected
    assert knock.idle()


def test_a_door_that_fails_tells_the_log_and_not_the_peer() -> None:
    knock, events = Knock(), []
    globalLogPublisher.addObserver(events.append)
    try:
        knock.channel.dataReceived(encode_open(TARGET))
        knock.doors.answer.errback(ZeroDivisionError("secret"))
    finally:
        globalLogPublisher.removeObserver(events.append)
    reply = knock.transport.value()
    assert b'"code":"internal"' in reply
    assert b"secret" not in reply
    assert [event["log_failure"].type for event in events if "log_failure" in event] == [
        ZeroDivisionError
    ]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"\x00\x00\x00\x02[]", b"protocol_violation"),
        (
            b'\x00\x00\x00\x1a{"v":1,"purpose":"no such"}'.replace(b"\x1a", b"\x1b"),
            b"channel_refused",
        ),
        (encode_open(TARGET).replace(b"80", b"-1"), b"invalid_field"),
    ],
)
def test_a_header_that_asks_for_nonsense_is_refused(header: bytes, code: bytes) -> None:
    knock = Knock()
    knock.channel.dataReceived(header)
    assert code in knock.transport.value()
    assert knock.doors.asked == []
    assert knock.transport.disconnecting
    assert knock.idle()


def test_a_header_that_does_not_come_ends_the_channel() -> None:
    knock = Knock()
    knock.channel.dataReceived(b"\x00\x00")
    knock.clock.advance(15.1)
    assert knock.transport.disconnecting
    assert knock.idle()


def test_a_door_that_takes_too_long_is_cancelled() -> None:
    knock = Knock()
    knock.channel.dataReceived(encode_open(TARGET))
    knock.clock.advance(15.1)
    assert knock.doors.cancelled == 1
    assert b"device_timeout" in knock.transport.value()
    assert knock.idle()


def test_a_server_that_loses_interest_cancels_the_door() -> None:
    knock = Knock()
    knock.channel.dataReceived(encode_open(TARGET))
    knock.channel.connectionLost(DONE)
    assert knock.doors.cancelled == 1
    assert knock.transport.value() == b""
    assert knock.idle()


def test_a_door_that_cannot_be_cancelled_sees_its_connection_over() -> None:
    class Stubborn(Doorman):
        async def open(self, target: Target) -> IProtocol:
            try:
                return await super().open(target)
            except CancelledError:
                return owner

    knock, owner = Knock(), HalfRecorder()
    knock.doors = Stubborn()
    knock.channel._doors = knock.doors
    knock.channel.dataReceived(encode_open(TARGET))
    knock.channel.connectionLost(DONE)
    assert owner.lost is not None
    assert knock.transport.value() == b""
