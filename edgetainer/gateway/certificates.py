"""The certificate that the HTTPS port shows, replaceable while it runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from edgetainer.errors import EdgetainerError


@implementer(IOpenSSLServerConnectionCreator)
class ServerCertificate:
    """Makes the TLS side of each new connection from the certificate of the moment.

    TLS 1.2 and newer, ALPN ``http/1.1`` only, no session tickets: a resumed
    session would carry the name of an earlier handshake.

    :ivar ends: until when browsers accept the one shown; aware.
    """

    def __init__(self, chain: bytes, private_key: bytes) -> None:
        self._context, self.ends = _context(chain, private_key)
        self._shown = chain, private_key

    def replace(self, chain: bytes, private_key: bytes) -> bool:
        """Show another certificate from the next connection on; open ones go on undisturbed.

        :param chain: PEM, the server's own certificate first.
        :param private_key: PEM.
        :returns: whether it is another one.
        :raises EdgetainerError: ``config_invalid``; the one in use then stays.
        """
        if (chain, private_key) == self._shown:
            return False
        self._context, self.ends = _context(chain, private_key)
        self._shown = chain, private_key
        return True

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """The OpenSSL connection for one accepted socket."""
        return SSL.Connection(self._context, None)


def _context(chain: bytes, private_key: bytes) -> tuple[SSL.Context, datetime]:
    try:
        certificates = load_pem_x509_certificates(chain)
        key = load_pem_private_key(private_key, password=None)
        options = CertificateOptions(
            privateKey=key,
            certificate=certificates[0],
            extraCertChain=certificates[1:],
            insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,
        )
        context = options.getContext()
        context.check_privatekey()
    except (SSL.Error, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise EdgetainerError(
            "config_invalid", "The TLS certificate and its private key do not fit together."
        ) from error
    context.set_options(SSL.OP_NO_TICKET)
    context.set_alpn_select_callback(_choose_protocol)
    return context, certificates[0].not_valid_after_utc


def _choose_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """HTTP/1.1, or the end of the handshake for who cannot speak it (RFC 7301 3.2)."""
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS
