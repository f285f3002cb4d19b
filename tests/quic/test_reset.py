from __future__ import annotations

import os
from typing import Any

import pytest

from edgetainer.quic.errors import ConnectionReset
from edgetainer.quic.reset import LARGEST_RESET, RESETS_PER_SECOND, Resets, is_reset
from tests.network import SERVER
from tests.quic.pair import Pair, Recorder

KEY = bytes(range(32))
ID = b"\x07" + bytes(7)


def resets(owner: int = 7, key: bytes = KEY) -> Resets:
    return Resets(key, owner=owner)


def packet(length: int, connection_id: bytes = ID) -> bytes:
    return (b"\x41" + connection_id + os.urandom(length))[:length]


def test_tokens_outlive_the_process_and_belong_to_one_id_and_key() -> None:
    token = resets().token(ID)
    assert len(token) == 16
    assert resets().token(ID) == resets(owner=1).token(ID) == token
    assert resets().token(ID[:-1] + b"\x01") != token
    assert resets(key=bytes(32)).token(ID) != token


@pytest.mark.parametrize("length", [22, 23, 29, 43, 44, 100, 1200])
def test_a_reset_is_smaller_than_what_it_answers_and_looks_like_a_packet(length: int) -> None:
    answer = resets().answer(packet(length), ID, now=0.0)
    assert answer is not None
    assert len(answer) == min(length - 1, LARGEST_RESET)
    assert answer[0] >> 6 == 0b01, "a short header"
    assert is_reset(answer, [bytes(16), resets().token(ID)])
    assert not is_reset(answer, [bytes(16)])


def test_two_resets_of_one_connection_differ() -> None:
    one, other = (resets().answer(packet(60), ID, now=0.0) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one[:-16] != other[:-16]


def test_too_small_a_packet_is_not_answered_so_no_two_ends_go_on_for_ever() -> None:
    makers, datagram, turns = [resets(), resets(key=bytes(32))], packet(1200), 0
    answer: bytes | None = datagram
    while answer is not None:
        answer = makers[turns % 2].answer(answer, ID, now=0.0)
        turns += 1
    assert turns <= LARGEST_RESET


def test_packets_of_other_owners_are_left_to_them() -> None:
    assert resets(owner=8).answer(packet(60), ID, now=0.0) is None


def test_resets_are_bounded_by_the_second() -> None:
    maker = resets()
    flood = [maker.answer(packet(60), ID, now=5.0) for _ in range(RESETS_PER_SECOND + 50)]
    assert flood.count(None) == 50
    later = [maker.answer(packet(60), ID, now=5.5) for _ in range(RESETS_PER_SECOND)]
    assert later.count(None) == RESETS_PER_SECOND // 2


class Restarted:
    """A connection whose server is killed, and back with the same key or another."""

    def __init__(self, key: bytes = KEY, owner: int = 0) -> None:
        self.pair = Pair(delay=0.04, server={"static_key": KEY})
        self.network = self.pair.network
        self.ends: list[Any] = []
        self.pair.client.notify_close().addBoth(self.ends.append)
        self.network.pass_time(1)
        self.network.carriers[SERVER].close()
        self.network.pass_time(1)
        self.network.listen(static_key=key, owner=owner)

    def ping(self) -> None:
        self.pair.client.ping().addErrback(lambda _: None)


def test_a_client_notices_with_its_next_packet_that_the_server_was_restarted() -> None:
    restarted = Restarted()
    assert restarted.ends == []
    restarted.ping()
    restarted.network.pass_time(0.081)
    [end] = restarted.ends
    assert isinstance(end.value, ConnectionReset)
    assert end.value.by_peer
    assert "stateless reset" in str(end.value)


def test_a_client_that_was_reset_says_nothing_more() -> None:
    restarted = Restarted()
    restarted.ping()
    restarted.network.until(lambda: bool(restarted.ends))
    carried = restarted.network.carried
    restarted.network.pass_time(30)
    assert restarted.network.carried == carried
    assert list(restarted.network.carriers) == [SERVER], "its socket is free again"


@pytest.mark.parametrize("other", [{"key": bytes(32)}, {"owner": 1}])
def test_another_servers_resets_are_not_believed(other: Any) -> None:
    restarted = Restarted(**other)
    restarted.ping()
    restarted.network.pass_time(8)
    assert restarted.ends == []


def test_only_the_token_of_the_id_in_use_from_the_servers_address_is_believed() -> None:
    pair = Pair(server={"static_key": KEY})
    pair.network.pass_time(1)
    quic = pair.client.driver.quic
    maker = resets(owner=0)
    used, spare = quic._peer_cid.cid, quic._peer_cid_available[0].cid
    pair.client.migrate()
    pair.network.pass_time(1)
    assert quic._peer_cid.cid == spare
    retired, unused = used, quic._peer_cid_available[0].cid
    for connection_id in (retired, unused):
        pair.client.driver.datagram_received(os.urandom(30) + maker.token(connection_id), SERVER)
    genuine = b"\x41" + os.urandom(30) + maker.token(spare)
    pair.client.driver.datagram_received(genuine, ("203.0.113.66", 1))
    assert pair.client.driver.failure is None
    pair.network.run(pair.client.ping())
    pair.client.driver.datagram_received(genuine, SERVER)
    pair.client.driver.batch_done()
    assert pair.client.driver.failure is not None


def test_a_live_connection_is_never_reset_by_its_server() -> None:
    pair = Pair(server={"static_key": KEY})
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    known = pair.client.driver.quic._peer_cid.cid
    replayed = b"\x41" + known + os.urandom(60)
    answers: list[bytes] = []
    pair.network.filter = lambda data, source, to: (
        to[0] != "203.0.113.5" or bool(answers.append(data))
    )
    for _ in range(20):
        pair.server.datagram_received(replayed, ("203.0.113.5", 5))
    pair.network.pass_time(1)
    assert answers == []
    server.transport.write(b"still here")
    pair.network.until(lambda: bool(client.data))


def test_the_ids_of_a_connection_promise_the_tokens_that_resets_carry() -> None:
    pair = Pair(server={"static_key": KEY, "owner": 9})
    pair.network.pass_time(1)
    quic, maker = pair.client.driver.quic, resets(owner=9)
    known = [quic._peer_cid, *quic._peer_cid_available]
    assert len(known) == 8
    for connection_id in known:
        assert connection_id.cid[0] == 9
        assert connection_id.stateless_reset_token == maker.token(connection_id.cid)
