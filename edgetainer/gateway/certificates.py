"""The certificate that the HTTPS port shows, replaceable while it runs."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from edgetainer.errors import EdgetainerError

_END = b"-----END CERTIFICATE-----"


@implementer(IOpenSSLServerConnectionCreator)
class ServerCertificate:
    """Makes the TLS side of each new connection from the certificate of the moment.

    TLS 1.2 and newer, ALPN ``http/1.1`` only, no session tickets: a resumed
    session would carry the name of an earlier handshake.
    """

    def __init__(self, chain: bytes, private_key: bytes) -> None:
        self._context = _context(chain, private_key)

    def replace(self, chain: bytes, private_key: bytes) -> None:
        """Show another certificate from the next connection on; open ones go on undisturbed.

        :param chain: PEM, the server's own certificate first.
        :param private_key: PEM.
        :raises EdgetainerError: ``config_invalid``; the one in use then stays.
        """
        self._context = _context(chain, private_key)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """The OpenSSL connection for one accepted socket."""
        return SSL.Connection(self._context, None)


def _context(chain: bytes, private_key: bytes) -> SSL.Context:
    blocks = [block + _END + b"\n" for block in chain.split(_END)[:-1]]
    try:
        certificates = [Certificate.loadPEM(block).original for block in blocks]
        key = KeyPair.load(private_key, SSL.FILETYPE_PEM).original
        options = CertificateOptions(
            privateKey=key,
            certificate=certificates[0],
            extraCertChain=certificates[1:],
            insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,
            acceptableProtocols=[b"http/1.1"],
        )
        context = options.getContext()
        context.check_privatekey()
    except (SSL.Error, IndexError, ValueError) as error:
        raise EdgetainerError(
            "config_invalid", "The TLS certificate and its private key do not fit together."
        ) from error
    context.set_options(SSL.OP_NO_TICKET)
    return context
