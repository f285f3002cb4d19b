"""From a channel to a container's port.

The server names a service; where that is, Docker alone says, at each opening.
Loopback, link-local addresses and the host's own network are never dialled, so
that no name, however chosen, reaches what the host serves only to itself.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.splice import splice
from edgetainer_agent.container import Container
from edgetainer_agent.docker import Docker

#: Seconds for a connection inside one machine.
CONNECT_TIMEOUT_S = 5.0


class Forwarder:
    """Opens connections to services of this device's stacks."""

    def __init__(self, *, reactor: Any, docker: Docker) -> None:
        self._reactor = reactor
        self._docker = docker

    async def open(self, service: str, port: int) -> IProtocol:
        """The channel's side of a connection to `port` of `service`.

        :raises EdgetainerError: `container_not_found`, `container_not_running`,
            `port_closed`, `service_not_exposed`, `docker_unavailable`.
        """
        container = await self._docker.running(service)
        address = reachable_address(container)
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        endpoint = kind(self._reactor, address, port, timeout=CONNECT_TIMEOUT_S)
        channel_side, container_side = splice()
        try:
            await endpoint.connect(Factory.forProtocol(lambda: container_side))
        except (ConnectError, OSError) as error:
            raise EdgetainerError(
                "port_closed", f"Nothing answers on port {port} of the container {container.name}."
            ) from error
        side: IProtocol = channel_side
        return side


def reachable_address(container: Container) -> str:
    """The container's own address, IPv4 first.

    :raises EdgetainerError: `service_not_exposed`: it has none that may be dialled.
    """
    if container.network_mode != "host":
        addresses = [_plain(ipaddress.ip_address(text)) for text in container.addresses]
        for address in sorted(addresses, key=lambda one: one.version):
            if not (
                address.is_loopback
                or address.is_link_local
                or address.is_multicast
                or address.is_unspecified
            ):
                return str(address)
    raise EdgetainerError(
        "service_not_exposed",
        f"The container {container.name} has no network address of its own "
        f"(network mode {container.network_mode}), so it cannot be exposed.",
    )


def _plain(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that is written as IPv6 is judged, and dialled, as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped
