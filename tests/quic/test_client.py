"""A client's connection: ready, refused, too late, given up; its socket is freed each time."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError

from edgetainer.quic.errors import ConnectionClosed
from edgetainer.quic.settings import ClientTls
from tests.network import SERVER_NAME, Network

SERVER_ONLY = 1
"""Sockets on the network when every client's is closed."""


def settled(network: Network) -> None:
    """Closing periods over: nothing waits, and no client's socket is open."""
    network.pass_time(30)
    assert len(network.carriers) <= SERVER_ONLY
    assert network.clock.getDelayedCalls() == []


def test_it_is_ready_only_once_the_server_has_accepted_it() -> None:
    """A TLS 1.3 client is done before the server has judged its certificate."""
    network = Network(delay=0.05)
    judged: list[float] = []

    def verify(chain: list[Any]) -> object:
        judged.append(network.clock.seconds())
        return network.verify_client(chain)

    network.listen(tls=network.server_tls(verify_client=verify))
    connection = network.run(network.connect())
    assert network.clock.seconds() >= judged[0] + 0.05
    connection.close()
    settled(network)


def test_a_server_that_is_silent_is_given_up_in_time() -> None:
    network = Network()
    connecting = network.connect(timeout=3.0)
    with pytest.raises(ConnectionClosed, match="no answer in time") as caught:
        network.run(connecting)
    assert network.clock.seconds() == pytest.approx(3.0, abs=0.01)
    assert not caught.value.by_peer
    settled(network)


def test_a_server_that_falls_silent_in_the_handshake_is_given_up_in_time() -> None:
    network = Network()
    network.listen()
    connecting = network.connect(timeout=3.0)
    network.pass_time(0.03)
    network.up = False
    with pytest.raises(ConnectionClosed, match="no answer in time"):
        network.run(connecting)
    settled(network)


def test_a_refused_client_frees_its_socket() -> None:
    network = Network()
    network.listen()
    with pytest.raises(ConnectionClosed) as caught:
        network.run(network.connect(tls=ClientTls(network.authority.pem, SERVER_NAME)))
    assert caught.value.by_peer
    settled(network)


@pytest.mark.parametrize("after", [0.0, 0.015, 0.035])
def test_cancelling_at_any_moment_ends_the_attempt(after: float) -> None:
    network = Network()
    network.listen()
    connecting = network.connect()
    failed: list[Any] = []
    connecting.addErrback(failed.append)
    network.pass_time(after)
    connecting.cancel()
    assert len(failed) == 1
    assert failed[0].check(ConnectionClosed, CancelledError)
    settled(network)


def test_the_deadline_is_for_the_handshake_alone() -> None:
    network = Network()
    network.listen()
    connection = network.run(network.connect(timeout=1.0))
    network.pass_time(5)
    network.run(connection.ping())


@pytest.mark.parametrize(("guess", "packets"), [(0.0, 2), (0.6, 1)])
def test_a_remembered_round_trip_saves_repetitions(guess: float, packets: int) -> None:
    network = Network(delay=0.3)
    network.listen()
    network.connect(rtt_guess=guess)
    network.pass_time(0.29)
    assert network.carried == packets, "the first packet and its repetitions"


def test_a_certificate_that_cannot_be_read_costs_no_socket() -> None:
    network = Network()
    with pytest.raises(ValueError, match="PEM"):
        network.connect(tls=ClientTls(network.authority.pem, SERVER_NAME, b"no", b"key"))
    assert network.carriers == {}
