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
from twisted.logger import Logger

from edgetainer.quic.certificates import is_for_servers
from edgetainer.quic.errors import CertificateRefused

VerifyClient = Callable[[list[x509.Certificate]], object]

_log = Logger()


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
    context: tls.Context, verify: VerifyClient, identified: Callable[[object], None]
) -> None:
    """Servers: ask for a certificate, refuse an empty one, and judge it.

    :param verify: gets the chain, leaf first, once the client has proved that it
        holds the leaf's key; raises to refuse.
    :param identified: gets what `verify` returned.
    """
    handle_certificate = context._server_handle_certificate
    handle_verify = context._server_handle_certificate_verify

    def certificate_received(input_buf: Buffer) -> None:
        handle_certificate(input_buf)
        if context._peer_certificate is None:
            raise AlertCertificateRequired("A client certificate is required")

    def verify_received(input_buf: Buffer) -> None:
        handle_verify(input_buf)
        assert context._peer_certificate is not None
        chain = [context._peer_certificate, *context._peer_certificate_chain]
        try:
            identity = verify(chain)
        except CertificateRefused as exc:
            raise tls.AlertBadCertificate(str(exc)) from exc
        except Exception as exc:
            # Whatever the application found, the peer learns only this.
            _log.info("client certificate refused: {reason}", reason=exc)
            raise tls.AlertBadCertificate("The client certificate is not accepted") from exc
        identified(identity)

    context._request_client_certificate = True
    context._server_handle_certificate = certificate_received  # type: ignore[method-assign]
    context._server_handle_certificate_verify = verify_received  # type: ignore[method-assign]
