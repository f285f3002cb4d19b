"""The one HTTPS port: after the handshake, the name asked for chooses who answers.

Names in the apps zone go to the gateway, every other name (and none) to the
console's twisted.web Site. The choice is made once per connection; the gateway
and the console each refuse a Host that is not the name of the handshake.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.gateway.certificates import ServerCertificate
from edgetainer.gateway.limits import ConnectionCount, Limits

#: Builds the protocol of one visitor: (server name, IP address) -> protocol.
BuildVisitor = Callable[[str, str], IProtocol]

#: Seconds between two lines of the log about connections that are one too many.
REFUSALS_S = 60.0


class HttpsFactory(Factory):
    """The factory to listen with, on a plain TCP port.

    :param certificate: what TLS shows; replace its content to change it.
    :param apps_domain: the zone of the devices, without a dot in front.
    :param build_visitor: the gateway's connections.
    :param console: the console's Site.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        *,
        certificate: ServerCertificate,
        apps_domain: str,
        build_visitor: BuildVisitor,
        console: IProtocolFactory,
        clock: IReactorTime,
        limits: Limits,
    ) -> None:
        self.count = ConnectionCount(limits)
        self._clock = clock
        self._refused = 0
        self._told_at = float("-inf")
        self._console = console
        chooser = _ChooserFactory(
            zone="." + apps_domain.lower(),
            build_visitor=build_visitor,
            console=console,
            clock=clock,
            limits=limits,
        )
        self._tls = TLSMemoryBIOFactory(certificate, False, chooser, clock)
        self._tls.noisy = False
        self._tls.protocol = _CountedTransport
        self._tls.count = self.count

    def doStart(self) -> None:
        super().doStart()
        self._console.doStart()

    def doStop(self) -> None:
        super().doStop()
        self._console.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        if not self.count.admit(_ip(addr)):
            self._tell_refusal(_ip(addr))
            return None  # Twisted closes the socket
        return self._tls.buildProtocol(addr)

    def _tell_refusal(self, address: str) -> None:
        """Who is turned away hears nothing; the operator must."""
        self._refused += 1
        now = self._clock.seconds()
        if now - self._told_at < REFUSALS_S:
            return
        self.log.warn(
            "connections refused: {refused} since last told, now one from {address}, "
            "which holds {held}; {total} are open in all",
            refused=self._refused,
            address=address,
            held=self.count.held(address),
            total=self.count.total,
        )
        self._refused, self._told_at = 0, now


class _CountedTransport(BufferingTLSTransport):
    """A TLS connection that tells when it has gone, whoever speaks on it by then."""

    factory: Any
    transport: Any

    _trusted = False

    def trusted(self) -> None:
        """Who is on it has proved to be one of ours: it counts for its address no more."""
        if not self._trusted:
            self._trusted = True
            self.factory.count.trust(_ip(self.transport.getPeer()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        address = _ip(self.transport.getPeer())
        super().connectionLost(reason)
        self.factory.count.leave(address, trusted=self._trusted)


class _ChooserFactory(Factory):
    noisy = False

    def __init__(
        self,
        *,
        zone: str,
        build_visitor: BuildVisitor,
        console: IProtocolFactory,
        clock: IReactorTime,
        limits: Limits,
    ) -> None:
        self.zone = zone
        self.build_visitor = build_visitor
        self.console = console
        self.clock = clock
        self.limits = limits

    def buildProtocol(self, addr: IAddress) -> _Chooser:
        return _Chooser(self)


@implementer(IHandshakeListener)
class _Chooser(Protocol):
    """Waits for the end of the handshake, then gives its place to the protocol chosen."""

    log = Logger()
    transport: Any

    def __init__(self, chooser: _ChooserFactory) -> None:
        self._chooser = chooser
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        seconds = self._chooser.limits.handshake_s
        self._deadline = self._chooser.clock.callLater(seconds, self._late)

    def handshakeCompleted(self) -> None:
        self._stop()
        name = (self.transport.getHandle().get_servername() or b"").decode("ascii", "replace")
        peer = self.transport.getPeer()
        chosen: IProtocol | None
        if name.lower().endswith(self._chooser.zone):
            chosen = self._chooser.build_visitor(name.lower(), _ip(peer))
        else:
            chosen = self._chooser.console.buildProtocol(peer)
        if chosen is None:
            self.transport.abortConnection()
            return
        self.transport.wrappedProtocol = chosen
        chosen.makeConnection(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop()

    def _late(self) -> None:
        self._deadline = None
        self.transport.abortConnection()

    def _stop(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()


def _ip(address: IAddress) -> str:
    """The peer's IP address, or its kind where it has none (a UNIX socket, a test).

    A port that listens on IPv6 sees IPv4 as ``::ffff:192.0.2.1``, and link-local
    addresses with an interface; containers are told neither.
    """
    if isinstance(address, IPv4Address | IPv6Address):
        host = ipaddress.ip_address(address.host.partition("%")[0])
        return str(getattr(host, "ipv4_mapped", None) or host)
    return type(address).__name__
