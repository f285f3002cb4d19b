"""What takes the streams that nobody else wants, or not yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from edgetainer.quic.codes import H3_NO_ERROR
from edgetainer.quic.driver import Driver
from edgetainer.quic.exchange import Header
from edgetainer.quic.opening import SessionRequest

if TYPE_CHECKING:
    from edgetainer.quic.http3 import Http3Connection


class Sink:
    """Swallows what still comes on a stream that nobody reads."""

    def __init__(self, driver: Driver, stream_id: int) -> None:
        self._driver = driver
        self._stream_id = stream_id

    def data_received(self, data: bytes, fin: bool) -> None:
        driver = self._driver
        driver.quic.consume(self._stream_id, len(data), now=driver.reactor.seconds())

    def reset_received(self, code: int) -> None:
        pass

    def stop_received(self) -> None:
        pass

    def connection_lost(self, reason: Failure) -> None:
        pass


class NothingHere:
    """Answers 404 to a request when there is no site."""

    def __init__(self, connection: Http3Connection, stream_id: int) -> None:
        self._connection = connection
        self._stream_id = stream_id

    def headers_received(self, headers: list[Header], ended: bool) -> None:
        self._connection.respond(self._stream_id, 404, [], b"")
        self._connection.drop_stream(self._stream_id, H3_NO_ERROR, writing=False)

    def body_received(self, data: bytes, ended: bool) -> None:
        pass

    def reset_received(self, code: int) -> None:
        self._connection.drop_stream(self._stream_id, code)

    def stop_received(self) -> None:
        self._connection.drop_stream(self._stream_id, H3_NO_ERROR)

    def connection_lost(self, reason: Failure) -> None:
        pass


class SessionArriving(NothingHere):
    """A session request that the application has not answered yet."""

    def headers_received(self, headers: list[Header], ended: bool) -> None:
        path = dict(headers).get(b":path", b"/").decode("ascii", "replace")
        plain = [pair for pair in headers if not pair[0].startswith(b":")]
        request = SessionRequest(self._connection, self._stream_id, path, plain)
        self._connection.session_requested(request)
