"""The device's side of a channel: a knock, a door, an answer.

`IncomingChannel` reads what the server wants, asks the `Doors`, and connects
the protocol that they return to the stream. Doors decide; nothing here knows
what a container is.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime, ITransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.channel import HandoverProtocol, set_priority
from edgetainer.tunnel.limits import OPEN_DEADLINE
from edgetainer.tunnel.messages import Target, encode_reply, parse_open

log = Logger()


class Doors(Protocol):
    """What a device lets its server open."""

    async def open(self, target: Target) -> IProtocol:
        """The protocol to connect to the channel.

        Raising `EdgetainerError` refuses the channel with its code and detail.
        It is cancelled when the server loses interest or the deadline passes.
        """


class IncomingChannel(HandoverProtocol):
    """One channel that the server opened, from its header to its handover.

    :param deadline: seconds for the header to arrive, and again for the doors.
    """

    def __init__(
        self, *, reactor: IReactorTime, doors: Doors, deadline: float = OPEN_DEADLINE
    ) -> None:
        self._reactor = reactor
        self._doors = doors
        self._deadline = deadline
        self._timer: IDelayedCall | None = None
        self._opening: Deferred[Any] | None = None

    def connectionMade(self) -> None:
        self._timer = self._reactor.callLater(self._deadline, self._timed_out)

    def header_received(self, body: bytes) -> None:
        self._restart_timer()
        try:
            target = parse_open(body)
        except EdgetainerError as error:
            self._refuse(error)
            return
        set_priority(cast(ITransport, self.transport), target.priority)
        self._opening = Deferred.fromCoroutine(self._doors.open(target))
        self._opening.addCallbacks(self._opened, self._failed)

    def lost_early(self, error: EdgetainerError | None) -> None:
        self._stop_timer()
        if error is not None:
            log.warn("channel dropped: {error}", error=error)
        if self._opening is not None:
            self._opening.cancel()

    def _opened(self, protocol: IProtocol) -> None:
        self._stop_timer()
        if self._lost:
            # The door opened for nobody: let it see a connection that is over.
            protocol.connectionLost(Failure(CancelledError()))  # type: ignore[no-untyped-call]
            return
        cast(ITransport, self.transport).write(encode_reply(None))
        self.hand_over(protocol)

    def _failed(self, failure: Failure) -> None:
        if self._lost:
            if not isinstance(failure.value, CancelledError | EdgetainerError):
                log.failure("a door failed for a channel that is gone", failure)
            return
        if isinstance(failure.value, EdgetainerError):
            self._refuse(failure.value)
            return
        if isinstance(failure.value, CancelledError):
            self._refuse(EdgetainerError("device_timeout", "The device's door did not open."))
            return
        log.failure("a door failed", failure)
        self._refuse(EdgetainerError("internal", "The device failed to open the channel."))

    def _refuse(self, error: EdgetainerError) -> None:
        self._stop_timer()
        transport = cast(ITransport, self.transport)
        transport.write(encode_reply(error))
        transport.loseConnection()

    def _timed_out(self) -> None:
        self._timer = None
        if self._opening is not None:
            self._opening.cancel()
        else:
            self._refuse(EdgetainerError("protocol_violation", "The open header did not come."))

    def _restart_timer(self) -> None:
        self._stop_timer()
        self._timer = self._reactor.callLater(self._deadline, self._timed_out)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
