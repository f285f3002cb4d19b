"""From a configured name to the addresses to try, anew at every attempt.

A server moves, a laptop changes networks: what a name meant at the last
attempt says nothing about now.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

#: Addresses of one name that are tried in a round; more is a mistake in the zone.
MAX_ADDRESSES = 8


def resolve(reactor: Any, host: str) -> Deferred[list[str]]:
    """The addresses of `host`, in the order of the system's resolver.

    Fails with `DNSLookupError` when there are none. Cancelling stops waiting.

    :param reactor: provides IReactorPluggableNameResolver.
    :param host: a name, or an address, which is returned as it is.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        collector = _Collector(host)
        reactor.nameResolver.resolveHostName(collector, host)
        return collector.found
    return succeed([host])


@implementer(IResolutionReceiver)
class _Collector:
    def __init__(self, host: str) -> None:
        self._host = host
        self._addresses: list[str] = []
        # Twisted's resolvers cannot all be stopped: after a cancellation the late
        # answer is ignored.
        self.found: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing is done with it."""

    def addressResolved(self, address: IAddress) -> None:
        if (
            isinstance(address, IPv4Address | IPv6Address)
            and address.host not in self._addresses
            and len(self._addresses) < MAX_ADDRESSES
        ):
            self._addresses.append(address.host)

    def resolutionComplete(self) -> None:
        if self.found.called:
            return
        if self._addresses:
            self.found.callback(self._addresses)
        else:
            self.found.errback(DNSLookupError(f"no address found for {self._host}"))


def local_address(host: str, port: int) -> str | None:
    """The local address from which datagrams to `host` would leave now.

    None where no route leads there. Nothing is sent; the kernel is asked.

    :param host: an address.
    """
    try:
        with _towards(host, port) as probe:
            return str(probe.getsockname()[0])
    except OSError:
        return None


def route_mtu(host: str, port: int) -> int:
    """Bytes of an IP packet that the first link towards `host` takes (ip(7), IP_MTU).

    Ethernet's 1,500 where the kernel does not say.

    :param host: an address.
    """
    level, option = (socket.IPPROTO_IPV6, 24) if ":" in host else (socket.IPPROTO_IP, 14)
    try:
        with _towards(host, port) as probe:
            return probe.getsockopt(level, option)
    except OSError:
        return 1500


def _towards(host: str, port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect((host, port))
    except OSError:
        probe.close()
        raise
    return probe
