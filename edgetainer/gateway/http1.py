"""HTTP/1.1 towards the visitor: one connection, one request at a time, in order.

The connection owns the bytes: it finds each head itself (so that `head` can
refuse it before h11 is lenient), then lets h11 frame the body and the answer.
An `Exchange` owns the meaning. Reading runs only as far ahead as
`Limits.backlog_bytes`; past that, or when the container reads slowly, the
socket is paused. Nothing is answered out of order because the next head is not
looked at before the answer under way is complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import h11
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.exchange import Exchange
from edgetainer.gateway.head import HEAD_BYTES, RequestHead, parse_head, refuse
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.pages import error_reply
from edgetainer.gateway.parties import FieldList

_BARE_LF = re.compile(rb"(?<!\r)\n")


@implementer(IPushProducer)
class Http1Protocol(Protocol):
    """One visitor's connection.

    :param server_name: the name the TLS handshake asked for.
    :param address: the visitor's IP address.
    :param open_exchange: makes the `Exchange` of one request.
    """

    log = Logger()
    transport: Any

    def __init__(
        self,
        *,
        server_name: str,
        address: str,
        open_exchange: Callable[[Http1Protocol, RequestHead], Exchange],
        clock: IReactorTime,
        limits: Limits,
    ) -> None:
        self.address = address
        self._server_name = server_name
        self._open_exchange = open_exchange
        self._clock = clock
        self._limits = limits
        self._backlog = bytearray()
        self._searched = 0
        self._requests = 0
        self._timer: IDelayedCall | None = None
        self._head: RequestHead | None = None
        self._exchange: Exchange | None = None
        self._h11 = h11.Connection(h11.SERVER)
        # Waits to be told to send its body. h11 takes any interim answer for the word.
        self._awaits_continue = False
        self._body_wanted = False  # the container is there to take it
        self._choked = False  # it took too much already
        self._body_ended = False
        self._drained: int | None = None  # bytes dropped after the answer; None before it
        self._raw = False
        self._advancing = False
        self._reading = True
        self._answer_paused = False
        self._closing = False

    # The connection.

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self._arm(self._limits.head_s, self._head_late)

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        if self._raw and self._exchange is not None:
            self._exchange.body_received(data)
            return
        self._backlog += data
        self._advance()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._disarm()
        self._closing = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.visitor_lost()

    # What the visitor's socket tells us about our writing (IPushProducer).

    def pauseProducing(self) -> None:
        self._answer_paused = True
        if self._exchange is not None:
            self._exchange.pause_answer()

    def resumeProducing(self) -> None:
        self._answer_paused = False
        if self._exchange is not None:
            self._exchange.resume_answer()
        self._advance()

    def stopProducing(self) -> None:
        """The socket is gone; connectionLost follows and does the work."""

    # What the exchange asks for.

    @property
    def answer_paused(self) -> bool:
        """Whether the visitor does not read fast enough just now."""
        return self._answer_paused

    def inform(self, status: int, headers: FieldList = ()) -> None:
        """Send an interim response (1xx, not 101); an HTTP/1.0 visitor is spared it."""
        if status == 100:
            self._awaits_continue = False
        if self._head is not None and self._head.version == b"1.1":
            self._send(h11.InformationalResponse(status_code=status, headers=list(headers)))

    def respond(self, status: int, headers: FieldList, reason: bytes = b"") -> None:
        """Send the head of the final response."""
        fields = list(headers)
        if self._awaits_continue or self._requests >= self._limits.requests:
            # A visitor that was not told to continue may send its body or not:
            # where the next request would begin is then unknown.
            fields.append((b"connection", b"close"))
        self._send(h11.Response(status_code=status, headers=fields, reason=reason))

    def write(self, data: bytes) -> None:
        """Send a piece of the response's body, or raw bytes after `switch`."""
        if self._raw:
            self.transport.write(data)
        else:
            self._send(h11.Data(data=data))

    def finish(self) -> None:
        """The response is complete."""
        if self._raw:
            self._close()
            return
        self._send(h11.EndOfMessage())
        self._exchange = None
        self._drained = 0
        self._body_wanted, self._choked = True, False
        if not self._body_ended:
            self._arm(self._limits.head_s, self._close)
        self._advance()

    def switch(self, headers: FieldList) -> None:
        """Answer 101: from here on the connection carries raw bytes both ways."""
        self._send(h11.InformationalResponse(status_code=101, headers=list(headers)))
        self._raw = True
        early, self._backlog = bytes(self._backlog), bytearray()
        if early and self._exchange is not None:
            self._exchange.body_received(early)

    def abort(self) -> None:
        """Break the connection, so that a cut answer cannot be taken for a whole one."""
        self._closing = True
        self._exchange = None
        self._disarm()
        self.transport.abortConnection()

    def hold_body(self) -> None:
        """Stop reading: the container cannot take more."""
        self._choked = True
        self._regulate()

    def release_body(self) -> None:
        """Read the body, or go on reading it."""
        self._body_wanted, self._choked = True, False
        self._advance()

    # Requests.

    def _advance(self) -> None:
        if self._advancing:
            return  # the loop below goes on; recursion would follow the visitor's pipelining
        self._advancing = True
        try:
            while not self._closing and (self._take_body() if self._head else self._take_head()):
                pass
        finally:
            self._advancing = False
        self._regulate()

    def _take_head(self) -> bool:
        """Begin the next request if its head is complete; whether there may be more to do."""
        if self._answer_paused or self._raw:
            return False
        if self._searched == 0 and self._backlog.startswith(b"\r\n"):
            # One empty line before a request line is tolerated (RFC 9112 2.2).
            del self._backlog[:2]
        end = self._backlog.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0 or end + 4 > HEAD_BYTES:
            return self._await_head()
        block = bytes(self._backlog[: end + 4])
        del self._backlog[: end + 4]
        self._searched = 0
        self._disarm()
        self._requests += 1
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        try:
            head = parse_head(block, server_name=self._server_name)
            self._h11.receive_data(block)
            self._h11.next_event()
        except EdgetainerError as error:
            return self._refuse(error)
        except h11.RemoteProtocolError:
            return self._refuse(refuse("The request is malformed."))
        self._head, self._drained = head, None
        self._awaits_continue = head.expects_continue
        self._body_wanted = self._choked = self._body_ended = False
        self._exchange = self._open_exchange(self, head)
        self._exchange.start()
        return True

    def _await_head(self) -> bool:
        if len(self._backlog) > HEAD_BYTES:
            return self._refuse(
                EdgetainerError("headers_too_large", "The request's headers exceed 16 KiB.")
            )
        if _BARE_LF.search(self._backlog, self._searched):
            return self._refuse(refuse("Lines end with CR LF."))
        if self._backlog and not self._searched and self._requests:
            self._arm(self._limits.head_s, self._head_late)
        self._searched = len(self._backlog)
        return False

    def _take_body(self) -> bool:
        """Move one piece of the request's body; whether there may be more to do."""
        if self._body_ended:
            return self._drained is not None and self._next_request()
        if self._choked or not self._body_wanted:
            return False
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError:
            return self._broken_body()
        if event is h11.NEED_DATA:
            if not self._backlog:
                return False
            self._h11.receive_data(bytes(self._backlog))
            self._backlog.clear()
        elif isinstance(event, h11.Data):
            self._awaits_continue = False  # it did not wait
            if self._drained is not None:
                self._drained += len(event.data)
                if self._drained > self._limits.drain_bytes:
                    self._close()
            elif self._exchange is not None:
                self._exchange.body_received(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            self._body_ended, self._awaits_continue = True, False
            self._backlog[:0] = self._h11.trailing_data[0]
            if self._exchange is not None:
                self._exchange.body_ended()
        return True

    def _broken_body(self) -> bool:
        if self._exchange is not None:
            self._exchange.fail(refuse("The request's body is malformed."))
        self._close()
        return False

    def _next_request(self) -> bool:
        if self._h11.our_state is not h11.DONE:
            self._close()
            return False
        self._head = None
        self._searched = 0
        self._arm(self._limits.idle_s, self._close)
        return True

    def _refuse(self, error: EdgetainerError) -> bool:
        """Answer a request that cannot be read, and end: what follows it cannot be read either."""
        self.log.info("refused {address}: {error}", address=self.address, error=error)
        reply = error_reply(error, None)
        answer = h11.Connection(h11.SERVER)
        fields = [*reply.headers, (b"connection", b"close")]
        head = h11.Response(status_code=reply.status, headers=fields)
        for event in (head, h11.Data(data=reply.body), h11.EndOfMessage()):
            self.transport.write(answer.send(event) or b"")
        self._close()
        return False

    # Plumbing.

    def _send(self, event: h11.Event) -> None:
        if self._closing:
            return
        data = self._h11.send(event)
        if data:
            self.transport.write(data)

    def _regulate(self) -> None:
        """Read from the socket exactly when somebody wants what comes, or it is little."""
        wanted = self._closing or not (
            self._choked or len(self._backlog) > self._limits.backlog_bytes
        )
        if wanted is self._reading:
            return
        self._reading = wanted
        if wanted:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def _head_late(self) -> None:
        self._refuse(EdgetainerError("request_timeout", "The request's headers came too slowly."))

    def _close(self) -> None:
        """Flush, close, and give up on a visitor that does not let us."""
        if self._closing:
            return
        self._closing = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.visitor_lost()
        self._backlog.clear()
        self._regulate()
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._arm(self._limits.linger_s, self.abort)

    def _arm(self, seconds: float, act: Callable[[], object]) -> None:
        self._disarm()
        self._timer = self._clock.callLater(seconds, self._fire, act)

    def _fire(self, act: Callable[[], object]) -> None:
        self._timer = None
        act()

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
