"""What is heard of clients that are turned away in the handshake."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from edgetainer.quic.errors import ConnectionClosed
from edgetainer.quic.settings import ClientTls
from tests.network import SERVER_NAME, Network


def refused(network: Network, tls: ClientTls) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        network.run(network.connect(tls=tls))
    assert caught.value.by_peer
    return caught.value


def test_who_has_no_certificate_is_told_of_with_its_address(said: list[str]) -> None:
    network = Network()
    network.listen()
    refused(network, ClientTls(network.authority.pem, SERVER_NAME))
    [line] = said
    assert "198.51.100.1" in line
    assert "no certificate" in line


def test_whose_certificate_has_expired_is_told_of_with_its_fingerprint(said: list[str]) -> None:
    network = Network()
    network.listen()
    leaf = network.authority.client(expired=True)
    why = refused(network, network.client_tls(leaf))
    [line] = said
    assert "198.51.100.1" in line
    assert leaf.certificate.fingerprint(SHA256()).hex() in line
    assert "not valid at this date" in line
    assert "not valid at this date" in why.reason


def test_what_a_client_writes_into_its_certificate_does_not_reach_the_log(said: list[str]) -> None:
    network = Network()

    def verify(chain: list[Any]) -> object:
        raise LookupError("unknown key")

    network.listen(tls=network.server_tls(verify_client=verify))
    leaf = network.authority.client("\nadmin signed in")
    why = refused(network, network.client_tls(leaf))
    [line] = said
    assert "admin" not in line
    assert line.endswith("refused: unknown key")
    assert "unknown key" not in why.reason, "that is ours to know"
