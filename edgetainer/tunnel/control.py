"""The control channel: the server's word to the agent itself.

One a session, opened by the server. It carries doorbells to the device, and from it
how long it may be silent; later versions may add frame types, which this one ignores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.tunnel.channel import FrameProtocol
from edgetainer.tunnel.messages import Doorbell, FrameType, KeepaliveWish


@implementer(IPushProducer)
class ControlChannel(FrameProtocol):
    """The server's end: rings, and keeps the newest ring for a device that is slow.

    :param on_keepalive: called with the seconds that the device may be silent.
    """

    def __init__(self, on_keepalive: Callable[[float], None] = lambda seconds: None) -> None:
        self._on_keepalive = on_keepalive
        self._paused = False
        self._waiting: int | None = None
        self._on_end: Callable[[], None] | None = None

    def ring(self, revision: int) -> None:
        """Send a doorbell, or, while the device does not read, remember the highest."""
        if self._paused:
            self._waiting = max(revision, self._waiting or 0)
        else:
            self.send(Doorbell(revision))

    def notify_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the channel is gone."""
        self._on_end = callback

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.registerProducer(self, True)

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.KEEPALIVE:
            self._on_keepalive(KeepaliveWish.parse(payload).keepalive_s)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._paused = True
        callback, self._on_end = self._on_end, None
        if callback is not None:
            callback()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        revision, self._waiting = self._waiting, None
        if revision is not None:
            self.ring(revision)

    def stopProducing(self) -> None:
        self._paused = True


class Ears(FrameProtocol):
    """The device's end: hands each doorbell's revision to `on_doorbell`."""

    def __init__(self, on_doorbell: Callable[[int], None]) -> None:
        self._on_doorbell = on_doorbell

    def wish(self, keepalive_s: float) -> None:
        """Tell the server how long the device may be silent."""
        self.send(KeepaliveWish(keepalive_s))

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.DOORBELL:
            self._on_doorbell(Doorbell.parse(payload).revision)
