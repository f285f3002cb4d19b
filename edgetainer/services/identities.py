"""The keys that devices are accepted by, mirrored in memory for the handshake.

The database is the authority. The mirror follows every change that this server
makes, after its transaction and before anything else, so a revoked key is
refused from the next handshake on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509

from edgetainer.domain.access import DeviceIdentity
from edgetainer.errors import EdgetainerError
from edgetainer.quic.certificates import verify_client_chain
from edgetainer.quic.errors import CertificateRefused
from edgetainer.services.certificates import spki_sha256
from edgetainer.storage import keys
from edgetainer.storage.database import Database


class Identities:
    """Which device a key belongs to.

    :param authority: the installation's certificate.
    """

    def __init__(
        self, *, database: Database, authority: x509.Certificate, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._authority = authority
        self._now = now
        self._devices: dict[str, str] = {}
        self._revocations = 0

    async def load(self) -> None:
        """Read every accepted key; until then no device is accepted."""
        self._devices = await self._database.read(keys.accepted)

    def device_for(self, fingerprint: str) -> str | None:
        """The device of an accepted key (SHA-256 of its SPKI), or None."""
        return self._devices.get(fingerprint)

    async def accept(self, fingerprint: str, device_id: str) -> None:
        """Accept a key that was stored, if it still counts.

        A revocation that was stored after the key may have been told of before:
        of two transactions on two threads either can be the first to say so.
        """
        while True:
            revocations = self._revocations
            found = await self._database.read(lambda c: keys.accepted_for(c, fingerprint))
            if revocations == self._revocations:
                break
        if found == device_id:
            self._devices[fingerprint] = device_id

    def revoke(self, device_id: str) -> None:
        """Accept no key of a device any more."""
        self._revocations += 1
        for fingerprint in [f for f, known in self._devices.items() if known == device_id]:
            del self._devices[fingerprint]

    def verify(self, chain: Sequence[x509.Certificate]) -> DeviceIdentity:
        """Who a client is, asked by the tunnel's handshake.

        :param chain: what it sent, leaf first.
        :raises EdgetainerError: `certificate_refused`, which refuses the handshake.
        """
        try:
            leaf = verify_client_chain(chain, [self._authority], self._now())
        except CertificateRefused as error:
            raise EdgetainerError("certificate_refused", f"{error}.") from error
        fingerprint = spki_sha256(leaf.public_key())
        device_id = self.device_for(fingerprint)
        if device_id is None:
            raise EdgetainerError(
                "certificate_refused", "The device was revoked or deleted; enrol it again."
            )
        return DeviceIdentity(device_id, fingerprint)
