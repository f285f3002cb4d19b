"""Back-pressure on whatever produces bytes for one stream.

A producer is paused while too many of its bytes are *unsent*, on its stream or
on the whole connection, and resumed when half of them are gone. Bytes in flight
are not counted: congestion control bounds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IProducer, IPullProducer, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.quic.errors import failure

if TYPE_CHECKING:
    from edgetainer.quic.driver import Driver

STREAM_HIGH = 256 * 1024
"""Unsent bytes of a stream at which its producer pauses: a quarter of a second
at 8 Mbit/s, and what a peer that never reads costs the writer."""

CONNECTION_HIGH = 4 * 1024 * 1024
"""Unsent bytes of a connection at which every producer on it pauses."""

STREAM_FLOOR = 32 * 1024
"""Unsent bytes that a stream may always have: streams whose readers stand still
can fill the connection's share, and must not silence the others."""


class Outflow:
    """Minds the producer of one stream; there is at most one at a time.

    :param driver: the connection's driver, whose `drained` sets are joined.
    :param stream_id: the stream that is written to.
    :param failed: called soon after the producer raised, which is let go then.
    """

    _log = Logger()

    def __init__(
        self, driver: Driver, stream_id: int, *, failed: Callable[[Failure], None]
    ) -> None:
        self._driver = driver
        self._stream_id = stream_id
        self._failed = failed
        self._producer: IProducer | None = None
        self._streaming = False
        self._paused = False

    @property
    def has_producer(self) -> bool:
        """Whether a producer is registered."""
        return self._producer is not None

    def register(self, producer: IProducer, streaming: bool) -> None:
        """Take a producer: a push producer if `streaming`, else a pull producer."""
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        self._producer = producer
        self._streaming = streaming
        self._paused = False
        if streaming:
            self.written()
        else:
            # A pull producer is asked for more whenever there is room.
            self._paused = True
            self._driver.await_room(self)

    def unregister(self) -> None:
        """Let the producer go."""
        self._producer = None
        self._driver.forget_room(self)

    def stop(self) -> None:
        """Tell the producer that nobody will read it."""
        producer, self._producer = self._producer, None
        self._driver.forget_room(self)
        if producer is not None:
            self._ask(producer.stopProducing)

    def written(self) -> None:
        """Bytes were written: pause the producer if there are too many."""
        if (
            self._producer is not None
            and self._streaming
            and not self._paused
            and not self._has_room(STREAM_HIGH, CONNECTION_HIGH)
        ):
            self._paused = True
            self._driver.await_room(self)
            self._ask(cast(IPushProducer, self._producer).pauseProducing)

    def drained(self) -> None:
        """Bytes were sent: let the producer go on if there is room."""
        producer = self._producer
        if producer is None or not self._paused:
            self._driver.forget_room(self)
            return
        if not self._has_room(STREAM_HIGH // 2, CONNECTION_HIGH // 2):
            return
        if self._streaming:
            self._paused = False
            self._driver.forget_room(self)
        self._ask(cast(IPullProducer, producer).resumeProducing)

    def _ask(self, method: Callable[[], None]) -> None:
        """Call the producer; its mistakes cost it this stream, not the connection."""
        try:
            method()
        except Exception as exc:
            self._log.failure("the producer of stream {id} failed", id=self._stream_id)
            self.unregister()
            # Never from within the call: the protocol may be in the middle of a write.
            self._driver.reactor.callLater(0, self._failed, failure(exc))

    def _has_room(self, stream: int, connection: int) -> bool:
        quic = self._driver.quic
        unsent = quic.unsent(self._stream_id)
        return unsent <= STREAM_FLOOR or (unsent <= stream and quic.unsent_total <= connection)
