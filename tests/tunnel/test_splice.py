from __future__ import annotations

import hashlib
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.tunnel.splice import Half, splice

from .sender import Sender

DONE = Failure(ConnectionDone())
RESET = Failure(ConnectionLost())


class Pipe(StringTransport):
    """Can end one direction, as TCP and QUIC streams can."""

    write_ended = False

    def loseWriteConnection(self) -> None:
        self.write_ended = True


class TlsPipe(Pipe):
    """Answers like Twisted's TLS: it has a certificate, and no half-close."""

    def getPeerCertificate(self) -> None:
        return None


def joined(left_pipe: Pipe | None = None) -> tuple[Half, Half, Pipe, Pipe]:
    left, right = splice()
    one, two = left_pipe or Pipe(), Pipe()
    left.makeConnection(one)
    right.makeConnection(two)
    return left, right, one, two


def test_each_side_says_what_the_other_heard() -> None:
    left, right, one, two = joined()
    left.dataReceived(b"question")
    right.dataReceived(b"answer")
    assert (one.value(), two.value()) == (b"answer", b"question")
    assert (left.received, right.received) == (8, 6)


def test_the_first_side_waits_and_loses_nothing() -> None:
    left, right = splice()
    one, two = Pipe(), Pipe()
    left.makeConnection(one)
    assert one.producerState == "paused"
    left.dataReceived(b"under way")
    left.readConnectionLost()
    right.makeConnection(two)
    assert one.producerState == "producing"
    assert two.value() == b"under way"
    assert two.write_ended
    right.dataReceived(b"answer")
    assert one.value() == b"answer"


def test_a_side_that_cannot_write_pauses_its_partner() -> None:
    _, _, one, two = joined()
    assert two.producer is one
    assert one.producer is two
    assert two.streaming
    two.producer.pauseProducing()
    assert one.producerState == "paused"
    two.producer.resumeProducing()
    assert one.producerState == "producing"


def test_the_end_of_one_direction_leaves_the_other_open() -> None:
    left, right, one, two = joined()
    left.readConnectionLost()
    assert two.write_ended
    assert two.producer is None
    assert not one.disconnecting
    assert not two.disconnecting
    right.dataReceived(b"still here")
    assert one.value() == b"still here"
    right.readConnectionLost()
    assert one.write_ended
    assert one.disconnecting
    assert two.disconnecting
    assert not one.disconnected
    assert not two.disconnected


def test_tls_cannot_end_one_direction_and_is_closed_after_flushing() -> None:
    _, right, one, _ = joined(TlsPipe())
    right.readConnectionLost()
    assert not one.write_ended
    assert one.disconnecting
    assert not one.disconnected


def test_a_clean_close_flushes_and_a_reset_resets() -> None:
    left, _, _, two = joined()
    left.connectionLost(DONE)
    assert two.disconnecting
    assert not two.disconnected
    left, right, one, two = joined()
    left.connectionLost(RESET)
    assert two.disconnected
    right.connectionLost(RESET)
    assert not one.disconnecting


def test_a_side_that_came_and_went_before_the_other() -> None:
    left, right = splice()
    one, two = Pipe(), Pipe()
    left.makeConnection(one)
    left.dataReceived(b"last words")
    left.connectionLost(DONE)
    right.makeConnection(two)
    assert two.value() == b"last words"
    assert two.disconnecting
    right.dataReceived(b"anyone?")
    assert one.value() == b""


def test_nothing_is_written_to_a_side_that_is_gone() -> None:
    left, right, _, two = joined()
    right.connectionLost(DONE)
    left.dataReceived(b"late")
    left.readConnectionLost()
    assert two.value() == b""


SIZE = 8 * 1024 * 1024
BLOCK = bytes(range(256)) * 256


@implementer(IHalfCloseableProtocol)
class SlowReader(Protocol):
    """Reads nothing for a while, then all; answers with the digest after the end."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def connectionMade(self) -> None:
        self.transport.pauseProducing()
        reactor.callLater(0.2, self.transport.resumeProducing)

    def dataReceived(self, data: bytes) -> None:
        self.digest.update(data)

    def readConnectionLost(self) -> None:
        self.transport.write(self.digest.hexdigest().encode())
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass


@pytest_twisted.ensureDeferred
async def test_real_sockets_a_slow_reader_and_half_closes() -> None:
    waiting: list[Half] = []

    def listen(factory: Any) -> Deferred[Any]:
        return TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)

    class Middle(Factory):
        def buildProtocol(self, addr: object) -> Half:
            left, right = splice()
            connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", reading.getHost().port), right)
            waiting.append(left)
            return left

    reading = await listen(Factory.forProtocol(SlowReader))
    middle = await listen(Middle())
    sender = Sender(BLOCK, SIZE // len(BLOCK))
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", middle.getHost().port), sender)
    answer = await sender.done
    await middle.stopListening()
    await reading.stopListening()
    assert answer.decode() == hashlib.sha256(BLOCK * (SIZE // len(BLOCK))).hexdigest()
    assert waiting[0].received == SIZE
