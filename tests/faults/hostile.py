"""A peer that misbehaves: stock aioquic on a test's network, and frames of one's own.

`Hostile` completes a real handshake, with a certificate that is accepted, and then
sends whatever it is given inside packets that decrypt. It keeps no rule of its own:
aioquic's checks on what it sends are passed by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.tls import load_pem_private_key, load_pem_x509_certificates

from tests.authority import Leaf
from tests.network import SERVER, SERVER_NAME, MemoryCarrier, Network


def varint(value: int) -> bytes:
    """RFC 9000 section 16."""
    buffer = Buffer(capacity=8)
    buffer.push_uint_var(value)
    return buffer.data


def stream_frame(stream_id: int, offset: int, data: bytes, *, fin: bool = False) -> bytes:
    """A STREAM frame with offset and length (RFC 9000 section 19.8)."""
    kind = bytes([0x0E | fin])
    return kind + varint(stream_id) + varint(offset) + varint(len(data)) + data


def crypto_frame(offset: int, data: bytes) -> bytes:
    """A CRYPTO frame (RFC 9000 section 19.6)."""
    return b"\x06" + varint(offset) + varint(len(data)) + data


class Hostile:
    """One connection of a client that may do anything.

    :param authorities: PEM of whom it trusts.
    :param certificate: PEM of its own, and `key`; None: it has none.
    :param send: takes each datagram; what comes back goes to `datagram_received`.
    :param now: seconds.
    """

    def __init__(
        self,
        *,
        authorities: bytes,
        server_name: str,
        certificate: bytes | None,
        key: bytes | None,
        send: Callable[[bytes], None],
        now: Callable[[], float],
    ) -> None:
        self.sent = 0
        self.received = 0
        self.tickets: list[object] = []
        self._shaken = False
        self.send = send
        self._now = now
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            server_name=server_name,
            cadata=authorities,
            max_datagram_frame_size=65536,
        )
        if certificate is not None and key is not None:
            configuration.certificate = load_pem_x509_certificates(certificate)[0]
            configuration.private_key = load_pem_private_key(key)
        self.quic = QuicConnection(
            configuration=configuration, session_ticket_handler=self.tickets.append
        )

    def begin(self) -> None:
        """Send the first packet."""
        self.quic.connect(SERVER, now=self._now())
        self.flush()

    def has_shaken_hands(self) -> bool:
        """Whether this end takes its handshake for complete."""
        return self._shaken

    @property
    def closed(self) -> events.ConnectionTerminated | None:
        """Why the server ended it, if it did."""
        event: Any = self.quic._close_event
        return event

    def frames(self, *payloads: bytes) -> None:
        """Send a packet for each payload, made of whatever frames it holds."""
        for payload in payloads:
            self.send(self.packet(payload))
            self.sent += 1

    def packet(self, payload: bytes) -> bytes:
        """A 1-RTT packet of this connection (RFC 9000 section 17.3.1)."""
        number = self.quic._packet_number
        self.quic._packet_number += 1
        # Header protection takes its sample from the fourth byte after the number.
        payload = payload.ljust(4, b"\0")
        header = b"\x41" + self.quic._peer_cid.cid + (number & 0xFFFF).to_bytes(2, "big")
        crypto = self.quic._cryptos[tls.Epoch.ONE_RTT]
        return bytes(crypto.encrypt_packet(header, payload, number))

    def flush(self) -> None:
        """Send what the state machine itself wants to send."""
        for data, _ in self.quic.datagrams_to_send(now=self._now()):
            self.send(data)

    def datagram_received(self, data: bytes) -> None:
        """What the server sent."""
        self.received += len(data)
        self.quic.receive_datagram(data, SERVER, now=self._now())
        while (event := self.quic.next_event()) is not None:
            self._shaken = self._shaken or isinstance(event, events.HandshakeCompleted)
        self.flush()


def on_network(
    network: Network, *, host: str = "203.0.113.66", port: int = 666, leaf: Leaf | None = None
) -> Hostile:
    """A hostile client of a test's network, with a certificate that is accepted."""
    shown = leaf or network.authority.client()
    hostile = Hostile(
        authorities=network.authority.pem,
        server_name=SERVER_NAME,
        certificate=shown.certificate_pem,
        key=shown.key_pem,
        send=lambda data: carrier.send(data, SERVER),
        now=network.clock.seconds,
    )
    carrier = MemoryCarrier(
        network, (host, port), lambda data, address: hostile.datagram_received(data)
    )
    return hostile


def connected(network: Network, **options: Any) -> Hostile:
    """The same after its handshake."""
    hostile = on_network(network, **options)
    hostile.begin()
    network.until(hostile.has_shaken_hands)
    network.pass_time(0.1)
    return hostile
