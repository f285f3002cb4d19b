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
        self._resolution: IHostResolution | None = None
        self.found: Deferred[list[str]] = Deferred(self._cancelled)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._resolution = resolutionInProgress

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

    def _cancelled(self, _: object) -> None:
        # Twisted's resolvers cannot all be stopped: the late answer is ignored.
        self._resolution = None


def local_address(host: str, port: int) -> str | None:
    """The local address from which datagrams to `host` would leave now.

    None where no route leads there. Nothing is sent; the kernel is asked.

    :param host: an address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, port))
        except OSError:
            return None
        return str(probe.getsockname()[0])
