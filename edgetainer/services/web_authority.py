"""TLS for browsers without outside help: an authority that can vouch for nothing else.

Whoever trusts it trusts it for the console's name and the devices' addresses
only: its certificate is constrained to those names (RFC 5280, 4.2.1.10), so a
stolen key cannot impersonate a bank. Operators with a real certificate set
`tls_certificate` and never meet this.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from edgetainer.services import certificates
from edgetainer.services.certificates import Identity
from edgetainer.storage import files

_AUTHORITY_LIFE = timedelta(days=10 * 365)
# Browsers refuse server certificates that live longer than 398 days.
_LEAF_LIFE = timedelta(days=397)
_LEAF_LEAST = timedelta(days=132)
_BACKDATE = timedelta(days=1)


class WebAuthority:
    """The self-issued authority and the server's certificate, kept in a folder.

    :param folder: of the state, for TLS; made on first use.
    :param console_host: host name (or IP address) of the console.
    :param apps_domain: domain of the devices' addresses.
    :param now: the time.

    :ivar ca_file: the authority's certificate, for people to install.
    :ivar server: what the HTTPS port shows, for the console and `*.apps_domain`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        console_host: str,
        apps_domain: str,
        now: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._now = now
        self._names = [
            certificates.general_name(console_host),
            x509.DNSName(f"*.{apps_domain}"),
        ]
        self._permitted = [_subtree(console_host), x509.DNSName(apps_domain)]
        self.ca_file = folder / "ca.pem"
        self._key = certificates.kept_key(folder / "ca.key")
        self.certificate = self._kept_authority()
        self.server = self._kept_server()

    def _kept_authority(self) -> x509.Certificate:
        constraints = x509.NameConstraints(
            permitted_subtrees=self._permitted, excluded_subtrees=None
        )
        kept = certificates.kept_certificate(self.ca_file)
        if (
            kept is not None
            and kept.public_key() == self._key.public_key()
            and kept.not_valid_after_utc - self._now() > _LEAF_LIFE
            and _constraints(kept) == constraints
        ):
            return kept
        # Other names need another authority; browsers have to be told anew.
        made = certificates.make_authority(
            self._key,
            common_name="Edgetainer web (self-issued)",
            not_before=self._now() - _BACKDATE,
            not_after=self._now() + _AUTHORITY_LIFE,
            constraints=constraints,
        )
        files.write(self.ca_file, certificates.pem(made), mode=files.PUBLIC_MODE)
        return made

    def _kept_server(self) -> Identity:
        path = self._folder / "server.pem"
        key = certificates.kept_key(self._folder / "server.key")
        kept = certificates.kept_certificate(path)
        if kept is None or not self._is_good(kept, key):
            kept = certificates.make_leaf(
                key.public_key(),
                authority=self.certificate,
                authority_key=self._key,
                subject=certificates.name("Edgetainer server"),
                alternatives=self._names,
                purpose=certificates.SERVER_AUTH,
                not_before=self._now() - _BACKDATE,
                not_after=self._now() + _LEAF_LIFE,
            )
            files.write(path, certificates.pem(kept), mode=files.PUBLIC_MODE)
        return Identity(certificates.pem(kept), certificates.private_pem(key))

    def _is_good(self, leaf: x509.Certificate, key: certificates.PrivateKey) -> bool:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if (
            list(names) != self._names
            or leaf.public_key() != key.public_key()
            or leaf.not_valid_after_utc - self._now() < _LEAF_LEAST
        ):
            return False
        try:
            leaf.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            # Made by an authority that has been replaced since.
            return False
        return True


def _subtree(host: str) -> x509.GeneralName:
    named = certificates.general_name(host)
    if isinstance(named, x509.IPAddress):
        return x509.IPAddress(ipaddress.ip_network(named.value))
    return named


def _constraints(certificate: x509.Certificate) -> x509.NameConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
