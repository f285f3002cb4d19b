"""A channel as an ordinary Twisted endpoint.

Whoever wants to reach something on a device connects a factory here and gets
its protocol on an ordinary transport with back-pressure, once the device has
accepted. Nothing above knows about streams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITransport,
)
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.quic.schedule import Priority
from edgetainer.tunnel.channel import HandoverProtocol, abort
from edgetainer.tunnel.limits import OPEN_DEADLINE
from edgetainer.tunnel.messages import Target, encode_open, parse_reply


class Opener(Protocol):
    """What an endpoint needs of a session."""

    @property
    def device_id(self) -> str:
        """Whose session it is."""

    @property
    def reactor(self) -> IReactorTime:
        """The session's clock."""

    @property
    def closed(self) -> EdgetainerError | None:
        """Why the session ended, or None while it lives."""

    def open(self, protocol: HandoverProtocol, priority: Priority) -> None:
        """Connect `protocol` to a new stream, or raise `EdgetainerError`."""


@implementer(IAddress)
@dataclass(frozen=True)
class ChannelAddress:
    """What `Factory.buildProtocol` is told of the far end."""

    device_id: str
    target: Target


@implementer(IStreamClientEndpoint)
class ChannelEndpoint:
    """Connects to `target` on the session's device.

    :param deadline: seconds until the device must have accepted or refused.
    """

    def __init__(self, session: Opener, target: Target, *, deadline: float = OPEN_DEADLINE) -> None:
        self._session = session
        self._target = target
        self._deadline = deadline

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fire with the factory's protocol once the device has accepted.

        Fails with `EdgetainerError`: the device's own reason if it refused,
        ``device_timeout``, ``channel_limit``, or why the session ended.
        Cancelling it drops the channel.
        """
        opening: _Opening | None = None

        def cancel(_: Deferred[IProtocol]) -> None:
            if opening is not None:
                opening.give_up()

        result: Deferred[IProtocol] = Deferred(cancel)
        try:
            header = encode_open(self._target)
            opening = _Opening(self._session, self._target, header, protocolFactory, result)
            opening.start(self._deadline)
        except EdgetainerError as error:
            result.errback(error)
        return result


class _Opening(HandoverProtocol):
    """Sends the open header and waits for the device's reply."""

    def __init__(
        self,
        session: Opener,
        target: Target,
        header: bytes,
        factory: IProtocolFactory,
        result: Deferred[IProtocol],
    ) -> None:
        self._session = session
        self._target = target
        self._header = header
        self._factory = factory
        self._result: Deferred[IProtocol] | None = result
        self._timer: IDelayedCall | None = None

    def start(self, deadline: float) -> None:
        self._session.open(self, self._target.priority)
        if self._result is not None:
            self._timer = self._session.reactor.callLater(deadline, self._timed_out, deadline)

    def connectionMade(self) -> None:
        cast(ITransport, self.transport).write(self._header)

    def header_received(self, body: bytes) -> None:
        if self._result is None:
            return  # the reply crossed our giving up
        refusal = parse_reply(body)
        if refusal is not None:
            # We have nothing more to say; a clean end frees the stream at both ends.
            cast(ITransport, self.transport).loseConnection()
            self._fail(refusal)
            return
        address = ChannelAddress(self._session.device_id, self._target)
        protocol: Any = self._factory.buildProtocol(address)
        if protocol is None:
            self._fail(EdgetainerError("unavailable", "Nobody wants the channel any more."))
            self.give_up()
            return
        result, self._result = self._result, None
        self._stop_timer()
        # The caller gets its protocol before the protocol's first bytes.
        self.hand_over(protocol, lambda: result.callback(protocol) if result else None)

    def lost_early(self, error: EdgetainerError | None) -> None:
        self._fail(
            error
            or self._session.closed
            or EdgetainerError("channel_refused", "The device dropped the channel unanswered.")
        )

    def give_up(self) -> None:
        """The caller has lost interest."""
        self._result = None
        self._stop_timer()
        if self.transport is not None:
            abort(self.transport)

    def _timed_out(self, deadline: float) -> None:
        self._timer = None
        abort(cast(ITransport, self.transport))
        self._fail(
            EdgetainerError("device_timeout", f"The device did not answer within {deadline:g} s.")
        )

    def _fail(self, error: EdgetainerError) -> None:
        self._stop_timer()
        result, self._result = self._result, None
        if result is not None:
            result.errback(error)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
