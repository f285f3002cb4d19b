"""Who may begin a connection, and at what cost."""

from __future__ import annotations

import os
from typing import Any

import pytest
from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetainer.quic.errors import ConnectionClosed
from edgetainer.quic.retry import REFUSALS_PER_SECOND, RetryTokens
from tests.network import SERVER, MemoryCarrier, Network


class Stranger:
    """Sends what it likes and keeps what comes back."""

    def __init__(self, network: Network, host: str = "203.0.113.5", port: int = 1) -> None:
        self.network = network
        self.received: list[bytes] = []
        self.patience = 0.1
        self.carrier = MemoryCarrier(network, (host, port), self._received)

    def _received(self, data: bytes, address: Any) -> None:
        self.received.append(data)

    def send(self, data: bytes) -> list[bytes]:
        self.received = []
        self.carrier.send(data, SERVER)
        self.network.pass_time(self.patience)
        return self.received

    def begin(self) -> QuicConnection:
        """Go as far as a stock client gets with its first two packets."""
        quic = QuicConnection(
            configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"])
        )
        quic.connect(SERVER, now=0.0)
        for answer in self.send(quic.datagrams_to_send(now=0.0)[0][0]):
            quic.receive_datagram(answer, SERVER, now=0.0)
        for data, _ in quic.datagrams_to_send(now=0.0):
            self.send(data)
        return quic


def first_packet() -> bytes:
    quic = QuicConnection(configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"]))
    quic.connect(SERVER, now=0.0)
    return quic.datagrams_to_send(now=0.0)[0][0]


def kind(packet: bytes) -> QuicPacketType:
    return pull_quic_header(Buffer(data=packet), host_cid_length=8).packet_type


@pytest.fixture
def network() -> Network:
    return Network()


def test_the_first_packet_is_answered_with_retry_and_costs_no_memory(network: Network) -> None:
    server = network.listen(owner=0x3C)
    stranger = Stranger(network)
    for _ in range(10):
        answers = stranger.send(first_packet())
        assert [kind(answer) for answer in answers] == [QuicPacketType.RETRY]
        assert len(answers[0]) < 1200, "no amplification"
        header = pull_quic_header(Buffer(data=answers[0]), host_cid_length=8)
        assert header.source_cid[0] == 0x3C, "the client's next packet finds its process"
    assert server._drivers == {}


def test_a_token_is_good_for_one_address_only(network: Network) -> None:
    server = network.listen()
    stranger, other = Stranger(network), Stranger(network, "203.0.113.6")
    quic = QuicConnection(configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"]))
    quic.connect(SERVER, now=0.0)
    retry = stranger.send(quic.datagrams_to_send(now=0.0)[0][0])[0]
    quic.receive_datagram(retry, SERVER, now=0.0)
    packet = quic.datagrams_to_send(now=0.0)[0][0]
    answers = other.send(packet)
    assert [kind(answer) for answer in answers] == [QuicPacketType.INITIAL]
    assert len(answers[0]) <= 128, "nobody is made to amplify"
    assert len(server._half_open) == 0
    assert stranger.send(packet)
    assert len(server._half_open) == 1


def with_a_bad_token() -> bytes:
    """What a client sends after the Retry of a server that has another key."""
    tokens = RetryTokens(bytes(32))
    quic = QuicConnection(configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"]))
    quic.connect(SERVER, now=0.0)
    quic._peer_token = tokens.create_token(
        address=SERVER,
        original_destination_connection_id=quic._peer_cid.cid,
        retry_source_connection_id=quic._peer_cid.cid,
    )
    return quic.datagrams_to_send(now=0.0)[0][0]


def test_a_client_whose_token_is_bad_may_begin_anew_at_once(network: Network) -> None:
    network.listen()

    def replace_the_server(data: bytes, source: Any, to: Any) -> bool:
        if source == SERVER and kind(data) is QuicPacketType.RETRY:
            # By one with another key, which takes no token of the first.
            network.filter = None
            network.carriers[SERVER].close()
            network.clock.callLater(0, network.listen)
        return True

    network.filter = replace_the_server
    with pytest.raises(ConnectionClosed) as caught:
        network.run(network.connect(timeout=10.0))
    assert (caught.value.code, caught.value.by_peer) == (0xB, True), "INVALID_TOKEN"
    assert network.clock.seconds() == pytest.approx(0.04, abs=0.005), "two round trips"


def test_bad_tokens_are_answered_so_many_a_second(network: Network) -> None:
    network.listen()
    stranger = Stranger(network)
    packet = with_a_bad_token()
    for _ in range(REFUSALS_PER_SECOND + 50):
        stranger.carrier.send(packet, SERVER)
    network.pass_time(0.1)
    assert [kind(answer) for answer in stranger.received] == (
        [QuicPacketType.INITIAL] * REFUSALS_PER_SECOND
    )


@pytest.mark.parametrize(("size", "answered"), [(1199, False), (1200, True)])
def test_versions_are_negotiated_only_with_full_datagrams(
    network: Network, size: int, answered: bool
) -> None:
    network.listen()
    unknown = b"\xc0\x1a\x2a\x3a\x4a\x08" + os.urandom(8) + b"\x08" + os.urandom(8)
    answers = Stranger(network).send(unknown + bytes(size - len(unknown)))
    assert [kind(answer) for answer in answers] == (
        [QuicPacketType.VERSION_NEGOTIATION] if answered else []
    )


def test_version_negotiation_is_never_answered(network: Network) -> None:
    network.listen()
    packet = b"\x80\x00\x00\x00\x00\x08" + os.urandom(8) + b"\x08" + os.urandom(8)
    assert Stranger(network).send(packet + bytes(1200)) == []


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=1500))
def test_noise_is_survived(noise: bytes) -> None:
    network = Network()
    server = network.listen()
    server.datagram_received(noise, ("203.0.113.5", 1))
    server.datagram_received(first_packet()[:20] + noise, ("203.0.113.5", 1))
    assert len(server._half_open) == 0


def test_noise_to_a_live_connection_is_survived(network: Network) -> None:
    accepted: list[Any] = []
    server = network.listen(on_connection=accepted.append)
    client = network.run(network.connect())
    cid = accepted[0].driver.quic.host_cid
    for length in range(0, 1200, 50):
        server.datagram_received(b"\x41" + cid + os.urandom(length), ("203.0.113.5", 1))
        server.datagram_received(b"\xe1" + cid + os.urandom(length), ("203.0.113.5", 1))
    network.run(client.ping())


def test_closing_the_server_tells_its_clients_and_leaves_nothing(network: Network) -> None:
    server = network.listen()
    clients = [network.run(network.connect()) for _ in range(3)]
    ends = [client.notify_close() for client in clients]
    network.run(server.close())
    for end in ends:
        network.run(end)
    assert server._drivers == {}
    network.pass_time(10)
    assert network.clock.getDelayedCalls() == [], "no timer is left"
    with pytest.raises(ConnectionClosed, match="no answer in time"):
        network.run(network.connect(timeout=3.0))


def test_another_certificate_serves_new_connections(network: Network) -> None:
    accepted: list[Any] = []
    server = network.listen(on_connection=accepted.append)
    old = network.run(network.connect())
    server.set_tls(network.server_tls(verify_client=lambda chain: "new"))
    network.run(network.connect())
    assert [connection.identity for connection in accepted] == ["CN=device", "new"]
    network.run(old.ping())


def test_connecting_can_be_cancelled(network: Network) -> None:
    connecting = network.connect()
    failed: list[Any] = []
    connecting.addErrback(failed.append)
    connecting.cancel()
    assert len(failed) == 1
    network.pass_time(60)
    assert network.clock.getDelayedCalls() == []


def test_one_connections_mistake_at_the_end_of_a_batch_is_its_own(
    network: Network, logged_failures: list[str]
) -> None:
    server = network.listen()
    connections = [network.run(network.connect()) for _ in range(2)]
    broken = next(iter(server._ids))

    def fail() -> None:
        raise RuntimeError("a mistake of ours")

    broken.batch_done = fail  # type: ignore[method-assign]
    for connection in connections:
        connection.request("GET", "/")
    network.pass_time(1)
    assert len(logged_failures) >= 1
    assert all("a mistake of ours" in logged for logged in logged_failures)
    logged_failures.clear()
    assert connections[1]._exchanges == {}, "answered"


def test_connections_that_are_over_are_not_kept_for_a_batch_that_never_ends(
    network: Network,
) -> None:
    server = network.listen()
    network.carriers[SERVER].batch_done = lambda: None
    connection = network.run(network.connect())
    connection.close()
    network.pass_time(10)
    assert server._touched == {}
