"""What the two ends are configured with."""

from __future__ import annotations

import dataclasses
from io import StringIO
from pathlib import Path

import pytest
from aioquic.quic.logger import QuicLogger

from edgetainer.quic.connection import Connection
from edgetainer.quic.settings import (
    CLIENT_LIMITS,
    SERVER_LIMITS,
    ClientTls,
    ServerTls,
    client_configuration,
    server_configuration,
)
from tests.authority import Authority, p256, shared_authority
from tests.network import SERVER_NAME, Network
from tests.quic.pair import Pair


@pytest.fixture(scope="module")
def authority() -> Authority:
    return shared_authority()


def server(authority: Authority) -> ServerTls:
    leaf = authority.server(SERVER_NAME)
    return ServerTls(leaf.certificate_pem, leaf.key_pem)


def test_a_chain_is_leaf_first(authority: Authority) -> None:
    tls = server(authority)
    chain = tls.certificate_chain + authority.pem
    configuration = server_configuration(dataclasses.replace(tls, certificate_chain=chain))
    assert configuration.certificate != authority.certificate
    assert configuration.certificate_chain == [authority.certificate]


def test_nothing_is_recorded_that_would_grow_or_leak(authority: Authority) -> None:
    leaf = authority.client()
    client = ClientTls(authority.pem, SERVER_NAME, leaf.certificate_pem, leaf.key_pem)
    for configuration in (server_configuration(server(authority)), client_configuration(client)):
        assert configuration.quic_logger is None
        assert configuration.secrets_log_file is None
        assert configuration.supported_versions == [1]
        assert configuration.alpn_protocols[0] == "h3"


def test_a_client_trusts_its_authorities_and_nobody_elses(authority: Authority) -> None:
    configuration = client_configuration(ClientTls(authority.pem, SERVER_NAME))
    assert configuration.cadata == authority.pem
    assert configuration.cafile is None
    assert configuration.capath is None
    assert configuration.verify_mode is None, "aioquic's default for clients is to verify"
    assert configuration.certificate is None


@pytest.mark.parametrize("part", ["certificate_chain", "private_key"])
@pytest.mark.parametrize("junk", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_what_cannot_be_read_is_said_at_once(authority: Authority, part: str, junk: bytes) -> None:
    tls = server(authority)
    with pytest.raises(ValueError):
        server_configuration(dataclasses.replace(tls, **{part: junk}))


def test_a_key_that_is_not_the_certificates_is_said_at_once(authority: Authority) -> None:
    tls = server(authority)
    other = dataclasses.replace(authority.server(SERVER_NAME), key=p256())
    with pytest.raises(ValueError):
        server_configuration(ServerTls(tls.certificate_chain, other.key_pem))


def test_the_server_may_open_a_thousand_channels_to_a_device() -> None:
    assert CLIENT_LIMITS.peer_streams >= 1024
    assert SERVER_LIMITS.peer_streams <= 256


def test_no_variable_makes_anyone_write_down_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SSLKEYLOGFILE", "QLOGDIR"):
        monkeypatch.setenv(name, str(tmp_path / "keys"))
    (tmp_path / "keys").write_text("")
    pair = Pair()
    for connection in (pair.client, pair.server_connection):
        configuration = connection.driver.quic.configuration
        assert configuration.secrets_log_file is None
        assert configuration.quic_logger is None
    assert (tmp_path / "keys").read_text() == ""


@pytest.mark.parametrize("field", ["secrets_log_file", "quic_logger"])
def test_a_connection_that_shall_log_keys_or_packets_is_not_made(field: str) -> None:
    network = Network()
    configuration = client_configuration(network.client_tls())
    setattr(configuration, field, StringIO() if field == "secrets_log_file" else QuicLogger())
    with pytest.raises(ValueError, match="neither their keys nor their packets"):
        Connection(configuration=configuration, limits=CLIENT_LIMITS)
