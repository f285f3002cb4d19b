"""The tests' authority, which here also signs the requests of devices."""

from __future__ import annotations

from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests import authority


class Authority(authority.Authority):
    """An authority that also signs the requests of devices."""

    def device(self, request: bytes, device_id: str) -> bytes:
        """The PEM certificate for a device's request."""
        csr = x509.load_pem_x509_csr(request)
        assert csr.is_signature_valid
        # Of a key, only its public half is asked for; the request has that.
        key = cast(ec.EllipticCurvePrivateKey, csr)
        return self.client(device_id, make_key=lambda: key).certificate_pem
