"""A NAT that forgets: what stands between a device and its server in the field.

    nat = Nat(network, patience=150)

Devices of the network (198.51.100.0/24) are behind it. A device's packet opens
the way back, or keeps it open; after `patience` seconds without one it is shut,
and the next packet opens another, from another port (or from the same one, as
Linux's does where it can).
"""

from __future__ import annotations

from dataclasses import dataclass

from edgetainer.quic.carriers import Address
from tests.network import Network

INSIDE = "198.51.100."
OUTSIDE = "203.0.113.7"

HEADERS = 28
"""Bytes of IPv4 and UDP around each datagram."""


@dataclass
class Binding:
    """One way back: from a port outside to an address inside."""

    inside: Address
    outside: Address
    used_at: float


class Nat:
    """Stands on the link of a `Network` and counts what passes.

    :param patience: seconds that a way back stays open.
    :param keeps_ports: whether a new way opens on the port of the forgotten one.

    :ivar bytes: of all datagrams, with the headers of IP and UDP; those that found
        the way back shut are counted too.
    :ivar shut: how many those were.
    """

    def __init__(self, network: Network, patience: float, *, keeps_ports: bool = False) -> None:
        self._network = network
        self.patience = patience
        self._keeps_ports = keeps_ports
        self._bindings: dict[Address, Binding] = {}
        self._by_port: dict[Address, Binding] = {}
        self._next_port = 20_000
        self.bytes = 0
        self.datagrams = 0
        self.shut = 0
        self._carry, self._arrive = network.carry, network._arrive
        network.carry = self.carry  # type: ignore[method-assign]
        network._arrive = self.arrive  # type: ignore[method-assign]

    def carry(self, data: bytes, source: Address, destination: Address) -> None:
        """A datagram leaves either end."""
        self.datagrams += 1
        self.bytes += len(data) + HEADERS
        if source[0].startswith(INSIDE):
            source = self._outbound(source)
        self._carry(data, source, destination)

    def arrive(self, data: bytes, source: Address, destination: Address) -> None:
        """A datagram has crossed the link."""
        if destination[0] != OUTSIDE:
            self._arrive(data, source, destination)
            return
        binding = self._by_port.get(destination)
        if binding is None or self._network.clock.seconds() - binding.used_at > self.patience:
            self.shut += 1
            return
        self._arrive(data, source, binding.inside)

    def _outbound(self, inside: Address) -> Address:
        now = self._network.clock.seconds()
        binding = self._bindings.get(inside)
        if binding is None or (now - binding.used_at > self.patience and not self._keeps_ports):
            self._next_port += 1
            binding = Binding(inside, (OUTSIDE, self._next_port), now)
            self._bindings[inside] = binding
            self._by_port[binding.outside] = binding
        binding.used_at = now
        return binding.outside
