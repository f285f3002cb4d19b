"""Who the other end is, decided inside the TLS handshake.

aioquic can ask a client for a certificate, "for test purposes only", and then
accepts none, or any. These wrap the handlers of one handshake, so that a refusal
is a TLS alert and the connection never comes to be (RFC 8446 section 4.4.2).
"""

from __future__ import annotations

from collections.abc import Callable

from aioquic import tls
from aioquic._buffer import Buffer
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from twisted.logger import Logger

from edgetainer.quic.certificates import is_for_servers
from edgetainer.quic.errors import CertificateRefused

VerifyClient = Callable[[list[x509.Certificate]], object]

_log = Logger()

_NOT_ACCEPTED = "The client certificate is not accepted"


class AlertCertificateRequired(tls.Alert):
    """The client sent no certificate (RFC 8446 section 4.4.2.4)."""

    description = tls.AlertDescription.certificate_required


def require_server_purpose(context: tls.Context) -> None:
    """Clients: refuse a server whose certificate is not for servers.

    aioquic checks chain, dates and name; without this a client's certificate could
    pose as a server's (RFC 5280 section 4.2.1.12).
    """
    handle_verify = context._client_handle_certificate_verify

    def verify_received(input_buf: Buffer) -> None:
        assert context._peer_certificate is not None
        if not is_for_servers(context._peer_certificate):
            raise tls.AlertBadCertificate("The certificate is not for a server")
        handle_verify(input_buf)

    context._client_handle_certificate_verify = verify_received  # type: ignore[method-assign]


def require_client_certificate(
    context: tls.Context,
    verify: VerifyClient,
    *,
    identified: Callable[[object], None],
    peer: Callable[[], object],
) -> None:
    """Servers: ask for a certificate, refuse an empty one, and judge it.

    Each refusal is logged with the client's address and the fingerprint of its
    certificate: it is all that is ever heard of such a client.

    :param verify: gets the chain, leaf first, once the client has proved that it
        holds the leaf's key; raises to refuse.
    :param identified: gets what `verify` returned.
    :param peer: tells the client's address.
    """
    handle_certificate = context._server_handle_certificate
    handle_verify = context._server_handle_certificate_verify

    def certificate_received(input_buf: Buffer) -> None:
        handle_certificate(input_buf)
        if context._peer_certificate is None:
            _log.info("client at {peer} refused: it has no certificate", peer=peer())
            raise AlertCertificateRequired("A client certificate is required")

    def verify_received(input_buf: Buffer) -> None:
        handle_verify(input_buf)
        assert context._peer_certificate is not None
        chain = [context._peer_certificate, *context._peer_certificate_chain]
        try:
            identity = verify(chain)
        except Exception as exc:
            # The fingerprint and not the subject, which is the client's own text.
            _log.info(
                "client at {peer} with certificate {fingerprint} refused: {reason}",
                peer=peer(),
                fingerprint=chain[0].fingerprint(SHA256()).hex(),
                reason=exc,
            )
            # Whatever else the application found, the peer learns only that.
            told = str(exc) if isinstance(exc, CertificateRefused) else _NOT_ACCEPTED
            raise tls.AlertBadCertificate(told) from exc
        identified(identity)

    context._request_client_certificate = True
    context._server_handle_certificate = certificate_received  # type: ignore[method-assign]
    context._server_handle_certificate_verify = verify_received  # type: ignore[method-assign]
