"""A protocol that writes down what happens to it."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


class Recorder(Protocol):
    """Knows no half-closed state."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.lost is None, "lost twice"
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfRecorder(Recorder):
    """Stays open for writing after the peer's end."""

    read_ended = False
    write_ended = False

    def readConnectionLost(self) -> None:
        assert not self.read_ended, "ended twice"
        self.read_ended = True

    def writeConnectionLost(self) -> None:
        self.write_ended = True
