"""The certificate shown can be replaced, and a bad one does not replace a good one."""

from __future__ import annotations

import pytest

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.certificates import ServerCertificate
from tests.gateway.certificate import self_signed


@pytest.mark.parametrize("bad", ["chain", "key", "pair", "empty"])
def test_what_does_not_fit_is_refused_and_the_old_one_stays(bad: str) -> None:
    chain, key = self_signed("a.example")
    other, other_key = self_signed("b.example")
    certificate = ServerCertificate(chain, key)
    before = certificate.serverConnectionForTLS(None).get_context()
    given = {
        "chain": (b"-----BEGIN CERTIFICATE-----\nnonsense", other_key),
        "key": (other, b"nonsense"),
        "pair": (other, key),
        "empty": (b"", other_key),
    }[bad]
    with pytest.raises(EdgetainerError) as caught:
        certificate.replace(*given)
    assert caught.value.code == "config_invalid"
    assert certificate.serverConnectionForTLS(None).get_context() is before
    assert certificate.replace(other, other_key)
    assert not certificate.replace(other, other_key), "it is shown already"
    assert certificate.serverConnectionForTLS(None).get_context() is not before


def test_a_chain_of_several_is_read() -> None:
    chain, key = self_signed("a.example")
    issuer, _ = self_signed("issuer.example")
    ServerCertificate(chain + issuer, key)
