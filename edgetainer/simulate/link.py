"""A device's way to its server, which can be cut."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from edgetainer.quic.carriers import Address, Carrier
from edgetainer.quic.client import ClientEndpoint
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.settings import ClientTls
from edgetainer.quic.udp import UdpCarrier


class Link:
    """Datagrams of one device, lost both ways while the link is away.

    Nothing above notices but by silence, as with a real link. Times between cuts
    and their lengths are drawn from exponential distributions.

    :param every_s: mean seconds from one cut to the next.
    :param away_s: mean seconds that a cut lasts.
    """

    def __init__(
        self, *, reactor: Any, every_s: float, away_s: float, chance: random.Random
    ) -> None:
        self._reactor = reactor
        self._every_s = every_s
        self._away_s = away_s
        self._chance = chance
        self._timer: IDelayedCall | None = None
        self.away = False
        self.cuts = 0

    def start(self) -> None:
        """Begin to be unreliable."""
        self._timer = self._reactor.callLater(
            self._chance.expovariate(1 / self._every_s), self._cut
        )

    def stop(self) -> None:
        """Be reliable from now on."""
        self.away = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connect(
        self, host: str, port: int, tls: ClientTls, timeout: float
    ) -> Deferred[Http3Connection]:
        """As `quic.endpoint.connect`, over this link; `host` is an address."""
        client = ClientEndpoint(reactor=self._reactor, tls=tls, timeout=timeout)

        def received(data: bytes, address: Address) -> None:
            if not self.away:
                client.datagram_received(data, address)

        interface = "::" if ":" in host else "0.0.0.0"  # noqa: S104  # a client's own socket
        carrier = UdpCarrier(
            self._reactor, received, batch_done=client.batch_done, interface=interface, port=0
        )
        return client.connect(_Cuttable(carrier, self), (host, port))

    def _cut(self) -> None:
        self.away = True
        self.cuts += 1
        self._timer = self._reactor.callLater(
            self._chance.expovariate(1 / self._away_s), self._mended
        )

    def _mended(self) -> None:
        self.away = False
        self.start()


class _Cuttable:
    """A carrier that loses what it is given while its link is away."""

    def __init__(self, carrier: Carrier, link: Link) -> None:
        self._carrier = carrier
        self._link = link

    @property
    def kind(self) -> str:
        return self._carrier.kind

    @property
    def address(self) -> Address:
        return self._carrier.address

    def send(self, data: bytes, address: Address) -> None:
        if not self._link.away:
            self._carrier.send(data, address)

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        if not self._link.away:
            self._carrier.send_many(datagrams)

    def largest_datagram(self, address: Address) -> int:
        return self._carrier.largest_datagram(address)

    def close(self) -> Deferred[None]:
        return self._carrier.close()
