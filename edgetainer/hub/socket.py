"""What every WebSocket of the console has in common.

Only pages of the console itself may connect (exact origin). No credential is in
the address: the first message, within five seconds, is a single-use ticket. The
person behind it is looked at again every few seconds, so that signing out or
losing a right ends or narrows the connection.

Close codes are 4000 + the HTTP status of the error that ended it.
"""

from __future__ import annotations

import json
from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.errors import EdgetainerError

#: Seconds for the first message.
TICKET_WAIT_S = 5.0
#: Seconds between looks at who is connected; they are answered from memory, and
#: whoever loses a right has lost it everywhere within two seconds.
RECHECK_S = 1.0


@implementer(IPushProducer)
class Socket(WebSocketServerProtocol):
    """One WebSocket: admission by ticket, then messages.

    Subclasses give `admit`, `received` and `recheck`, all allowed to raise
    `EdgetainerError`, which is told to the client; and `left`.
    """

    log = Logger()

    def __init__(self, *, clock: IReactorTime, origins: frozenset[str]) -> None:
        super().__init__()
        self._clock = clock
        self._origins = origins
        self._deadline: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._admitted = False
        self._gone = False
        self._checker = LoopingCall(self._check)
        self._checker.clock = clock

    # For subclasses.

    async def admit(self, ticket: str) -> None:
        """Redeem the ticket and call `ready`."""
        raise NotImplementedError

    def received(self, payload: bytes, binary: bool) -> None:
        """A message after admission."""
        raise NotImplementedError

    async def recheck(self) -> None:
        """Raise when the client may not stay."""
        raise NotImplementedError

    def left(self) -> None:
        """The connection is gone or going."""

    @property
    def gone(self) -> bool:
        """Whether the connection is gone or going."""
        return self._gone

    def tell(self, message: dict[str, Any]) -> None:
        """Send a JSON message."""
        if not self._gone:
            self.sendMessage(json.dumps(message, separators=(",", ":")).encode("utf-8"))

    def refuse(self, error: EdgetainerError) -> None:
        """Tell the client why, and close."""
        if self._gone:
            return
        self.log.info("{peer} refused: {error}", peer=self.peer, error=error)
        self.tell({"type": "error", "code": error.code, "detail": error.detail})
        self.end(4000 + error.status)

    def end(self, code: int = 1000) -> None:
        """Close."""
        if not self._gone:
            self._leave()
            self.sendClose(code)

    # From Autobahn.

    def onConnect(self, request: ConnectionRequest) -> None:
        # Autobahn compares patterns and lets requests without an Origin pass;
        # so do we (programs have none), but what is there must be exact.
        if request.origin and request.origin not in self._origins:
            raise ConnectionDeny(403, "origin not allowed")

    def onOpen(self) -> None:
        # twisted.web's channel is still registered for its own pausing.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        self._deadline = self._clock.callLater(TICKET_WAIT_S, self._no_ticket)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self._gone:
            return
        try:
            if self._admitted:
                self.received(payload, isBinary)
            elif self._deadline is not None:
                ticket = parse_message(payload, isBinary).get("ticket")
                if not isinstance(ticket, str):
                    raise EdgetainerError("ticket_invalid", "The first message is the ticket.")
                self._deadline.cancel()
                self._deadline = None
                self._work = Deferred.fromCoroutine(self.admit(ticket))
                self._work.addErrback(self._failed)
            else:
                raise EdgetainerError("invalid_request", "Wait for the answer to the ticket.")
        except EdgetainerError as error:
            self.refuse(error)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._leave()

    # From the socket, about our writing (IPushProducer).

    def pauseProducing(self) -> None:
        """The client does not read."""

    def resumeProducing(self) -> None:
        """The client reads again."""

    def stopProducing(self) -> None:
        """The socket is gone; onClose follows."""

    # Inside.

    def ready(self, greeting: dict[str, Any]) -> None:
        """Let the client in and tell it so; before anything else it is told."""
        if not self._gone:
            self._admitted = True
            self.tell({"type": "ready", **greeting})
            self._checker.start(RECHECK_S, now=False)

    def _check(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.recheck()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if self._gone:
            return
        if failure.check(EdgetainerError):
            self.refuse(failure.value)
        else:
            self.log.failure("a socket of the hub failed", failure)
            self.refuse(EdgetainerError("internal"))

    def _no_ticket(self) -> None:
        self._deadline = None
        self.refuse(EdgetainerError("ticket_invalid", "The ticket did not come in time."))

    def _leave(self) -> None:
        if self._gone:
            return
        self._gone = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._checker.running:
            self._checker.stop()
        if self.transport is not None and hasattr(self.transport, "unregisterProducer"):
            # A transport with a producer does not close.
            self.transport.unregisterProducer()
        self.left()


def parse_message(payload: bytes, binary: bool) -> dict[str, Any]:
    """A text message as a JSON object.

    :raises EdgetainerError: ``invalid_json`` or ``invalid_request``.
    """
    if binary:
        raise EdgetainerError("invalid_request", "This message must be text.")
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise EdgetainerError("invalid_json", "The message is not JSON.") from None
    if not isinstance(message, dict):
        raise EdgetainerError("invalid_request", "The message is not a JSON object.")
    return message
