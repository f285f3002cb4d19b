from __future__ import annotations

import random
from typing import Any

import pytest

from edgetainer.quic.mtu import (
    BASE,
    BLACK_HOLE_LOSSES,
    HOLD_S,
    LADDER,
    PROBES,
    RAISE_S,
    PathMtu,
    State,
)
from tests.network import MemoryCarrier
from tests.quic.pair import Pair, Recorder, pattern


def find(search: PathMtu, largest: int, *, now: float = 0.0, chance: Any = None) -> list[int]:
    """Answer probes as a path would that carries `largest`; return what was probed."""
    probed = []
    while (size := search.probe(now, timeout=0.1)) is not None:
        probed.append(size)
        if size <= largest and (chance is None or chance.random() > 0.1):
            search.passed(size, now)
        else:
            search.lost(size, now)
        now += 0.1
    return probed


# The search.


def test_where_the_top_passes_one_probe_is_enough() -> None:
    search = PathMtu(1452)
    assert find(search, 1452) == [1452]
    assert (search.size, search.state) == (1452, State.COMPLETE)
    assert search.probe(1e9, timeout=0.1) is None, "there is nothing more to find"


@pytest.mark.parametrize("largest", [*LADDER, 1213, 1279, 1300, 1451, 3000, 8951])
def test_the_largest_rung_that_passes_is_found_with_few_probes(largest: int) -> None:
    search = PathMtu(8952)
    probed = find(search, largest)
    assert search.size == max(size for size in LADDER if size <= largest)
    assert len(probed) <= 3 * PROBES + 1
    assert search.state is State.COMPLETE


def test_a_loopback_has_the_largest_size_and_no_larger_one() -> None:
    search = PathMtu(65_508)
    assert find(search, 65_535) == [8952]


def test_a_ceiling_between_two_rungs_is_tried_too() -> None:
    search = PathMtu(1410)
    assert find(search, 1410) == [1410]
    assert search.size == 1410


@pytest.mark.parametrize("ceiling", [0, 576, 1200])
def test_there_is_nothing_to_search_for_below_the_base(ceiling: int) -> None:
    search = PathMtu(ceiling)
    assert find(search, 65_535) == []
    assert search.size == BASE


@pytest.mark.parametrize("seed", range(5))
def test_lost_probes_are_tried_again(seed: int) -> None:
    print(f"seed {seed}")
    search = PathMtu(1452)
    find(search, 1452, chance=random.Random(seed))
    assert search.size == 1452


def test_a_probe_that_nothing_is_heard_of_counts_as_lost_in_time() -> None:
    search = PathMtu(1452)
    assert search.probe(0.0, timeout=0.1) == 1452
    assert search.probe(0.9, timeout=0.1) is None, "one at a time"
    assert search.probe(1.0, timeout=0.1) == 1452
    assert search.probe(2.0, timeout=1.0) == 1452
    assert search.probe(3.0, timeout=1.0) is None, "three probe time-outs"
    assert search.probe(5.0, timeout=0.1) == 1350, "half of what is left"


def test_a_late_acknowledgement_is_believed() -> None:
    search = PathMtu(1452)
    for now in (0.0, 1.0, 2.0):
        assert search.probe(now, timeout=0.1) == 1452
    assert search.probe(3.0, timeout=0.1) == 1350
    search.passed(1452, 3.1)
    assert (search.size, search.state) == (1452, State.COMPLETE)


def test_a_larger_size_is_tried_again_after_a_while() -> None:
    search = PathMtu(1452)
    find(search, 1350)
    assert search.size == 1350
    assert search.probe(RAISE_S - 1, timeout=0.1) is None
    assert find(search, 1452, now=RAISE_S + 10) == [1452]
    assert search.size == 1452


def test_a_black_hole_leads_back_to_the_base_and_to_a_new_search() -> None:
    search = PathMtu(1452)
    find(search, 1452)
    search.black_hole(100.0)
    assert (search.size, search.state) == (BASE, State.HOLDING)
    assert search.probe(100.0 + HOLD_S - 1, timeout=0.1) is None
    find(search, 1400, now=100.0 + HOLD_S)
    assert search.size == 1400
    PathMtu(1452).black_hole(0.0)  # at the base there is none


# On a connection.


def paired(*, mtu: int = 65_535, largest: int = 1452, **network: Any) -> Pair:
    pair = Pair(**network)
    pair.network.mtu, pair.network.largest_datagram = mtu, largest
    pair.network.pass_time(1)
    return pair


def sizes(pair: Pair) -> list[int]:
    return [end.statistics().datagram_size for end in (pair.client, pair.server_connection)]


def transfer(pair: Pair, size: int) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    server.transport.write(pattern(size))
    client.transport.write(pattern(size))
    pair.network.until(lambda: len(server.data) == len(client.data) == size)
    assert server.data == client.data == pattern(size)


def search(pair: Pair) -> None:
    """As much bulk as the longest search may take: three probes of each rung."""
    ends = [pair.client.driver.quic, pair.server_connection.driver.quic]
    for _ in range(12):
        transfer(pair, 25_000)
        pair.network.pass_time(1)
        if all(end._mtu and end._mtu.state is State.COMPLETE for end in ends):
            return


@pytest.mark.parametrize(("mtu", "found"), [(1452, 1452), (1390, 1350), (1200, 1200)])
def test_both_ends_find_what_the_path_carries(mtu: int, found: int) -> None:
    pair = paired(mtu=mtu, delay=0.02)
    search(pair)
    assert sizes(pair) == [found, found]


def test_a_loopback_is_used_to_the_full() -> None:
    pair = paired(largest=65_508)
    transfer(pair, 300_000)
    assert sizes(pair) == [8952, 8952]
    sent: list[int] = []
    pair.network.filter = lambda data, *_: bool(sent.append(len(data)) or True)
    transfer(pair, 300_000)
    assert max(sent) == 8952
    assert len(sent) < 2 * 300_000 / 8952 * 2


def test_a_quiet_connection_probes_nothing() -> None:
    pair = paired()
    sent: list[int] = []
    pair.network.filter = lambda data, *_: bool(sent.append(len(data)) or True)
    for _ in range(20):
        pair.network.run(pair.client.ping())
        pair.network.pass_time(60)
    assert max(sent) < BASE


def test_a_peer_that_takes_less_gets_no_more() -> None:
    pair = paired()
    quic = pair.client.driver.quic
    quic._peer_takes = 1300
    transfer(pair, 25_000)
    assert sizes(pair) == [1300, 1452]


def test_lost_probes_say_nothing_of_congestion() -> None:
    """Every probe is lost; the controller and the probe time-out hear of none."""
    pair = paired(mtu=1200, delay=0.02)
    told: list[Any] = []
    for end in (pair.client, pair.server_connection):
        controller: Any = end.driver.quic._loss._cc
        controller.on_packets_lost = lambda now, packets: told.append(packets)
    for _ in range(5):
        transfer(pair, 25_000)
        pair.network.pass_time(1)
    assert pair.network.lost >= 2 * PROBES
    assert told == []
    assert pair.client.driver.quic._loss._pto_count == 0


def test_a_path_that_shrinks_is_noticed_and_nothing_is_lost() -> None:
    pair = paired(delay=0.02)
    transfer(pair, 25_000)
    assert sizes(pair) == [1452, 1452]
    pair.network.mtu = 1300
    shrunk_at = pair.network.clock.seconds()
    transfer(pair, 60_000)
    print(f"over after {pair.network.clock.seconds() - shrunk_at:.1f} s")
    assert sizes(pair) == [BASE, BASE]
    assert pair.network.clock.seconds() - shrunk_at < 10
    pair.network.pass_time(HOLD_S)
    search(pair)
    assert sizes(pair) == [1280, 1280]


@pytest.mark.parametrize("seed", range(2))
def test_mere_losses_are_no_black_hole(seed: int) -> None:
    pair = paired(seed=seed, delay=0.02, loss=0.05)
    transfer(pair, 150_000)
    assert sizes(pair) == [1452, 1452]
    lost = sum(end.statistics().packets_lost for end in (pair.client, pair.server_connection))
    assert lost > BLACK_HOLE_LOSSES


def test_another_network_begins_with_the_base_again() -> None:
    pair = paired(delay=0.02)
    transfer(pair, 25_000)
    assert sizes(pair) == [1452, 1452]
    carrier: Any = pair.client.driver.carrier
    assert isinstance(carrier, MemoryCarrier)
    carrier.move(("203.0.113.7", 7))
    pair.network.mtu = 1250
    pair.client.migrate()
    pair.network.pass_time(0.5)
    assert sizes(pair) == [BASE, BASE]
    transfer(pair, 25_000)
    carrier.move(("203.0.113.7", 8))
    pair.network.mtu = 65_535
    transfer(pair, 25_000)
    pair.network.pass_time(1)
    for _ in range(3):
        transfer(pair, 25_000)
        pair.network.pass_time(1)
    assert sizes(pair)[1] >= 1400, "another port is no other path"
