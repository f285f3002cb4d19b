"""What each end is configured with, and how aioquic is told."""

from __future__ import annotations

from dataclasses import dataclass

from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import load_pem_private_key, load_pem_x509_certificates

from edgetainer.quic.congestion import MODEL_BASED
from edgetainer.quic.connection import CONNECTION_ID_LENGTH
from edgetainer.quic.crediting import Limits
from edgetainer.quic.handshake import VerifyClient

IDLE_TIMEOUT_S = 900.0
"""Seconds without a packet after which a connection is given up. Longer than the
outages it is meant to survive; whoever needs to know sooner sends pings."""

CLIENT_LIMITS = Limits(peer_streams=1024)
"""Clients let the server open up to 1,024 streams at once."""

SERVER_LIMITS = Limits(peer_streams=256)
"""Servers let a client have 256 requests and streams open at once."""


@dataclass(frozen=True)
class ServerTls:
    """How a server identifies itself, and whom it lets in.

    :param certificate_chain: PEM, leaf first.
    :param private_key: PEM, unencrypted.
    :param verify_client: called inside the handshake with the client's chain, leaf
        first; returns what becomes `Http3Connection.identity`, or raises to refuse.
        None asks clients for no certificate.
    """

    certificate_chain: bytes
    private_key: bytes
    verify_client: VerifyClient | None = None


@dataclass(frozen=True)
class ClientTls:
    """Whom a client trusts, and how it identifies itself.

    :param certificate_authorities: PEM; the only ones trusted to sign the server.
    :param server_name: the name that the server's certificate must have.
    :param certificate_chain: the client's own chain, PEM, leaf first, or None.
    :param private_key: its key, PEM, unencrypted, or None.
    """

    certificate_authorities: bytes
    server_name: str
    certificate_chain: bytes | None = None
    private_key: bytes | None = None


def server_configuration(tls: ServerTls) -> QuicConfiguration:
    """aioquic's configuration of a server.

    :raises ValueError: when the certificate or the key cannot be read, or they do
        not belong together: else every client would notice, and nobody here.
    """
    configuration = _configuration(is_client=False)
    _load_identity(configuration, tls.certificate_chain, tls.private_key)
    if configuration.private_key.public_key() != configuration.certificate.public_key():
        raise ValueError("the private key is not that of the certificate")
    return configuration


def client_configuration(tls: ClientTls) -> QuicConfiguration:
    """aioquic's configuration of a client.

    :raises ValueError: when the certificate or the key cannot be read.
    """
    configuration = _configuration(is_client=True)
    configuration.server_name = tls.server_name
    configuration.load_verify_locations(cadata=tls.certificate_authorities)
    if tls.certificate_chain is not None and tls.private_key is not None:
        _load_identity(configuration, tls.certificate_chain, tls.private_key)
    return configuration


def _configuration(*, is_client: bool) -> QuicConfiguration:
    return QuicConfiguration(
        alpn_protocols=H3_ALPN,
        congestion_control_algorithm=MODEL_BASED,
        connection_id_length=CONNECTION_ID_LENGTH,
        idle_timeout=IDLE_TIMEOUT_S,
        is_client=is_client,
        max_datagram_frame_size=65536,  # WebTransport's settings demand it.
        max_datagram_size=SMALLEST_MAX_DATAGRAM_SIZE,  # at first; `mtu` finds out more
        supported_versions=[QuicProtocolVersion.VERSION_1],
    )


def _load_identity(configuration: QuicConfiguration, chain: bytes, key: bytes) -> None:
    leaf, *rest = load_pem_x509_certificates(chain)
    configuration.certificate = leaf
    configuration.certificate_chain = rest
    configuration.private_key = load_pem_private_key(key)
