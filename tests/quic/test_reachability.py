"""Whether UDP reaches a server, asked of a real server's end on a fake clock."""

from __future__ import annotations

import pytest

from edgetainer.quic.carriers import Address
from edgetainer.quic.reachability import Reachability, version_probe
from tests.network import SERVER, MemoryCarrier, Network


def ask(network: Network, timeout: float = 5.0) -> tuple[Reachability, MemoryCarrier, object]:
    question = Reachability(network.reactor)
    carrier = MemoryCarrier(network, ("198.51.100.9", 50000), question.datagram_received)
    return question, carrier, question.ask(carrier, SERVER, timeout=timeout)


def test_a_server_answers_without_a_connection() -> None:
    network = Network()
    server = network.listen()
    _, carrier, asked = ask(network)
    assert network.run(asked) is True
    assert network.clock.seconds() == pytest.approx(2 * network.delay)
    assert not server._ids
    assert carrier.address not in network.carriers


def test_a_lost_question_is_asked_again() -> None:
    network = Network()
    network.listen()
    sent: list[float] = []

    def second_only(data: bytes, source: Address, destination: Address) -> bool:
        if destination == SERVER:
            sent.append(network.clock.seconds())
        return len(sent) > 1

    network.filter = second_only
    _, _, asked = ask(network)
    assert network.run(asked) is True
    assert sent == [0.0, 1.0]


def test_silence_is_a_no() -> None:
    network = Network()
    _, _, asked = ask(network)
    assert network.run(asked) is False
    assert network.clock.seconds() == 5.0
    assert network.carried == 3
    assert not network.carriers


def test_nobody_else_can_answer() -> None:
    network = Network()
    question, _, asked = ask(network)
    forged = version_probe(destination=bytes(8), source=bytes(8))
    for data in (
        b"",
        b"\x80",
        forged,
        forged[:20],
        b"\xc0\0\0\0\0\x08" + bytes(8) + b"\x08" + bytes(12),
    ):
        question.datagram_received(data, SERVER)
    assert network.run(asked) is False
    question.datagram_received(forged, SERVER)
