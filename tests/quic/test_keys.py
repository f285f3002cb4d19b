from __future__ import annotations

import os
from typing import Any

import pytest

from edgetainer.quic.errors import ConnectionClosed
from edgetainer.quic.keys import CONFIDENTIALITY_LIMIT, KEY_UPDATE_AFTER
from tests.network import SERVER
from tests.quic.pair import Pair, Recorder, pattern

AEAD_LIMIT_REACHED = 0xF


def transfer(pair: Pair, size: int) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    server.transport.write(pattern(size))
    client.transport.write(pattern(size))
    pair.network.until(lambda: len(server.data) == len(client.data) == size)
    assert server.data == client.data == pattern(size)


def test_keys_are_changed_well_before_they_must_be() -> None:
    assert KEY_UPDATE_AFTER <= CONFIDENTIALITY_LIMIT // 2


@pytest.mark.parametrize("end", ["client", "server", "both"])
def test_keys_change_again_and_again_and_no_packet_is_lost_by_it(end: str) -> None:
    """Each end's packets under way at a change are sealed with the old keys."""
    pair = Pair(seed=3, delay=0.03, jitter=0.005)
    ends: list[Any] = [pair.client.driver.quic, pair.server_connection.driver.quic]
    for quic in {"client": ends[:1], "server": ends[1:], "both": ends}[end]:
        quic.key_update_after = 60
    for _ in range(4):
        transfer(pair, 100_000)
        # Three probe time-outs must lie between two changes.
        pair.network.pass_time(0.5)
    print("updates:", [quic.key_updates for quic in ends])
    for quic in ends:
        assert quic.key_updates >= 4
        assert quic._pair.forged == 0
    assert abs(ends[0].key_updates - ends[1].key_updates) <= 1


def test_the_old_keys_are_forgotten_after_a_while() -> None:
    pair = Pair(delay=0.03)
    quic = pair.client.driver.quic
    quic.key_update_after = 1
    pair.network.pass_time(1)
    pair.network.run(pair.client.ping())
    assert quic._pair._previous is not None
    quic.key_update_after = KEY_UPDATE_AFTER
    pair.network.pass_time(1)
    pair.network.run(pair.client.ping())
    pair.network.pass_time(1)
    for each in (quic, pair.server_connection.driver.quic):
        assert each.key_updates >= 1
        assert each._pair._previous is None


def closed(pair: Pair) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        pair.network.run(pair.client.notify_close())
    return caught.value


def test_a_connection_whose_key_cannot_be_changed_ends_before_the_limit() -> None:
    pair = Pair()
    quic = pair.client.driver.quic
    quic.confidentiality_limit = quic._packet_number + 20
    for _ in range(30):
        pair.client.ping().addErrback(lambda _: None)
        pair.network.pass_time(0.1)
    assert closed(pair).code == AEAD_LIMIT_REACHED
    assert quic._packet_number <= quic.confidentiality_limit + 2


def test_a_connection_that_too_much_is_forged_for_ends() -> None:
    pair = Pair()
    pair.network.pass_time(1)
    quic = pair.client.driver.quic
    quic.integrity_limit = 5
    for count in range(1, 6):
        forged = b"\x41" + quic.host_cid + os.urandom(40)
        pair.client.driver.datagram_received(forged, SERVER)
        assert quic._pair.forged == count
    assert closed(pair).code == AEAD_LIMIT_REACHED
