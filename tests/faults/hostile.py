"""A peer that misbehaves: stock aioquic on a test's network, and frames of one's own.

`Hostile` completes a real handshake, with a certificate that is accepted, and then
sends whatever it is given inside packets that decrypt. It keeps no rule of its own:
aioquic's checks on what it sends are passed by.
"""

from __future__ import annotations

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
    """One connection of a client that may do anything."""

    def __init__(
        self, network: Network, *, host: str = "203.0.113.66", port: int = 666,
        leaf: Leaf | None = None, certificate: bool = True,
    ) -> None:  # fmt: skip
        self.network = network
        self.sent = 0
        self.received = 0
        self.tickets: list[object] = []
        self.events: list[events.QuicEvent] = []
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            server_name=SERVER_NAME,
            cadata=network.authority.pem,
            max_datagram_frame_size=65536,
        )
        if certificate:
            shown = leaf or network.authority.client()
            configuration.certificate = load_pem_x509_certificates(shown.certificate_pem)[0]
            configuration.private_key = load_pem_private_key(shown.key_pem)
        self.quic = QuicConnection(
            configuration=configuration, session_ticket_handler=self.tickets.append
        )
        self.carrier = MemoryCarrier(network, (host, port), self._received)

    def connect(self) -> None:
        """Complete the handshake."""
        self.quic.connect(SERVER, now=self._now)
        self.flush()
        self.network.until(self.has_shaken_hands)
        self.network.pass_time(0.1)

    def has_shaken_hands(self) -> bool:
        """Whether this end takes its handshake for complete."""
        return any(isinstance(event, events.HandshakeCompleted) for event in self.events)

    @property
    def closed(self) -> events.ConnectionTerminated | None:
        """Why the server ended it, if it did."""
        event: Any = self.quic._close_event
        return event

    def frames(self, *payloads: bytes) -> None:
        """Send a packet for each payload, made of whatever frames it holds."""
        for payload in payloads:
            self.carrier.send(self.packet(payload), SERVER)
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
        for data, address in self.quic.datagrams_to_send(now=self._now):
            self.carrier.send(data, address)

    @property
    def _now(self) -> float:
        return self.network.clock.seconds()

    def _received(self, data: bytes, address: Any) -> None:
        self.received += len(data)
        self.quic.receive_datagram(data, address, now=self._now)
        while (event := self.quic.next_event()) is not None:
            self.events.append(event)
        self.flush()
