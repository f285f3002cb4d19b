"""One UDP socket: what it loses quietly, and when its port is free."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from edgetainer.quic.carriers import Address, UdpCarrier, twisted_address

reactor: Any = global_reactor


class End:
    def __init__(self, port: int = 0) -> None:
        self.received: Deferred[tuple[bytes, Address]] = Deferred()
        self.carrier = UdpCarrier(reactor, self._received, interface="127.0.0.1", port=port)

    def _received(self, data: bytes, address: Address) -> None:
        self.received.callback((data, address))


@pytest_twisted.ensureDeferred
async def test_datagrams_arrive_with_their_sender() -> None:
    one, two = End(), End()
    one.carrier.send(b"hello", two.carrier.address)
    assert await two.received == (b"hello", one.carrier.address)
    await one.carrier.close()
    await two.carrier.close()


@pytest.mark.parametrize(
    ("size", "host", "port"),
    [
        # Larger than the interface can ever carry: EMSGSIZE.
        (65_536, "127.0.0.1", 9),
        # No route: the network is away.
        (100, "240.0.0.1", 9),
        # Refused by the system before it is sent.
        (100, "255.255.255.255", 9),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_sent_is_lost_without_a_word(size: int, host: str, port: int) -> None:
    end = End()
    end.carrier.send(bytes(size), (host, port))
    await end.carrier.close()


@pytest_twisted.ensureDeferred
async def test_the_port_is_free_once_closing_has_fired() -> None:
    end = End()
    port = end.carrier.address[1]
    with pytest.raises(CannotListenError):
        End(port)
    await end.carrier.close()
    again = End(port)
    assert again.carrier.address == ("127.0.0.1", port)
    await again.carrier.close()


@pytest_twisted.ensureDeferred
async def test_a_burst_finds_room_while_the_program_is_busy() -> None:
    end = End()
    handle = end.carrier.transport.getHandle()  # type: ignore[attr-defined]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        default = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= default
    await end.carrier.close()


@pytest.mark.parametrize(("host", "family"), [("192.0.2.1", "IPv4"), ("2001:db8::1", "IPv6")])
def test_addresses_are_twisteds_of_either_family(host: str, family: str) -> None:
    address = twisted_address("UDP", (host, 5))
    assert type(address).__name__ == f"{family}Address"
    assert (address.type, address.host, address.port) == ("UDP", host, 5)
