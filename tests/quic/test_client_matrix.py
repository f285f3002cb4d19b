"""Eight clients and their certificates against the real server: six refused, two accepted.

Refused means: to the server's application the connection never was. No handshake is
complete, no stream is heard of, whatever the client sent along with its last flight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aioquic.quic import events

from edgetainer.quic.connection import Connection
from edgetainer.quic.errors import CertificateRefused, ConnectionClosed
from edgetainer.quic.settings import ClientTls
from tests.authority import Authority, ed25519_key, for_servers
from tests.network import SERVER_NAME, Network

REVOKED = "revoked"


def _none(network: Network) -> ClientTls:
    return ClientTls(network.authority.pem, SERVER_NAME)


def _other_authority(network: Network) -> ClientTls:
    return network.client_tls(Authority("other").client())


def _revoked(network: Network) -> ClientTls:
    return network.client_tls(network.authority.client(REVOKED))


def _expired(network: Network) -> ClientTls:
    return network.client_tls(network.authority.client(expired=True))


def _for_servers(network: Network) -> ClientTls:
    return network.client_tls(network.authority.client(usage=for_servers()))


def _wrong_key(network: Network) -> ClientTls:
    shown, held = network.authority.client(), network.authority.client()
    return ClientTls(network.authority.pem, SERVER_NAME, shown.certificate_pem, held.key_pem)


def _p256(network: Network) -> ClientTls:
    return network.client_tls(network.authority.client())


def _ed25519(network: Network) -> ClientTls:
    return network.client_tls(network.authority.client(make_key=ed25519_key))


@pytest.mark.parametrize(
    ("make_tls", "accepted"),
    [
        (_none, False),
        (_other_authority, False),
        (_revoked, False),
        (_expired, False),
        (_for_servers, False),
        (_wrong_key, False),
        (_p256, True),
        (_ed25519, True),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_") or None,
)
def test_who_gets_in(
    make_tls: Callable[[Network], ClientTls], accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[events.QuicEvent] = []
    real = Connection.next_event

    def next_event(connection: Connection) -> Any:
        event = real(connection)
        if event is not None and not connection.configuration.is_client:
            heard.append(event)
        return event

    monkeypatch.setattr(Connection, "next_event", next_event)
    network = Network()
    arrived: list[Any] = []

    def verify(chain: list[Any]) -> object:
        identity = network.verify_client(chain)
        if identity == f"CN={REVOKED}":
            raise CertificateRefused("The key was revoked")
        return identity

    network.listen(tls=network.server_tls(verify_client=verify), on_connection=arrived.append)
    connecting = network.connect(tls=make_tls(network))
    if accepted:
        connection = network.run(connecting)
        network.run(connection.ping())
        assert [one.identity for one in arrived] == ["CN=device"]
        assert any(isinstance(event, events.HandshakeCompleted) for event in heard)
        return
    with pytest.raises(ConnectionClosed) as caught:
        network.run(connecting)
    network.pass_time(2)
    assert caught.value.by_peer
    assert 0x100 < caught.value.code < 0x200, "a TLS alert (RFC 9001 section 4.8)"
    assert arrived == []
    streams = (events.StreamDataReceived, events.StreamReset, events.StopSendingReceived)
    kinds = (events.HandshakeCompleted, *streams)
    assert [event for event in heard if isinstance(event, kinds)] == []
