"""Devices that misbehave and strangers that make noise: nothing else may notice.

Each scene has a real server and an honest device on one network. Memory is what
Python allocated at most during the attack (tracemalloc), both ends of the attack and
its packets in flight included.
"""

from __future__ import annotations

import gc
import itertools
import random
import tracemalloc
from typing import Any

import pytest
from aioquic.quic.packet import QuicPacketType
from twisted.web.resource import Resource
from twisted.web.server import Site

from edgetainer.quic.half_open import MAX_HALF_OPEN_PER_HOST
from tests.faults.attacks import ATTACKS, Attack, mutated
from tests.faults.hostile import connected, on_network
from tests.network import SERVER, Network
from tests.quic.test_server import Stranger, first_packet, kind

MIB = 1024 * 1024
PACKETS = 150
#: Bytes that an attack may make the server keep: one connection's window and the
#: attack's own packets, which lie in the same process here.
MOST = 4 * MIB


class Scene:
    """A server, an honest device and whoever else comes."""

    def __init__(self, seed: int = 1) -> None:
        self.network = Network(seed=seed)
        self.chance = random.Random(seed)
        self.connections: list[Any] = []
        self.server = self.network.listen(
            site=Site(Resource()), on_connection=self.connections.append
        )
        self.honest = self.network.run(self.network.connect())

    def check_honest(self) -> None:
        """The honest device is served as ever."""
        self.network.run(self.honest.ping())
        answer = self.network.run(self.honest.request("GET", "/nothing"))
        assert answer.status == 404


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_device_that_misbehaves_harms_itself_alone(scene: Scene, attack: Attack) -> None:
    hostile = connected(scene.network)
    assert len(scene.connections) == 2
    gc.collect()
    tracemalloc.start()
    try:
        for payload in itertools.islice(attack(scene.chance), PACKETS):
            hostile.frames(payload)
            if hostile.sent % 20 == 0:
                scene.network.pass_time(0.05)
            if hostile.closed is not None:
                break
        scene.network.pass_time(1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST, f"{peak / MIB:.1f} MiB"
    scene.check_honest()


def test_strangers_take_half_open_places_and_give_them_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.network.delay = 0.0001
    # The bounds themselves cost seconds to reach; what they do does not depend on them.
    monkeypatch.setattr("edgetainer.quic.half_open.MAX_HALF_OPEN", 32)
    monkeypatch.setattr("edgetainer.quic.half_open.MAX_HALF_OPEN_PER_HOST", 10)
    for host, port in itertools.product(range(5), range(1, 12)):
        stranger = Stranger(scene.network, f"203.0.113.{host}", port)
        stranger.patience = 0.001
        stranger.begin()
    assert len(scene.server._half_open) == 32
    assert max(scene.server._half_open.hosts.values()) == 10
    scene.check_honest()
    scene.network.pass_time(5)
    assert len(scene.server._half_open) == 0
    scene.network.run(scene.network.connect())


def test_a_device_behind_a_crowded_address_gets_its_turn(scene: Scene) -> None:
    scene.network.delay = 0.0001
    for port in range(1, MAX_HALF_OPEN_PER_HOST + 1):
        stranger = Stranger(scene.network, "198.51.100.1", port)
        stranger.patience = 0.001
        stranger.begin()
    began = scene.network.clock.seconds()
    # Its first packets are dropped; it sends them again until there is room.
    scene.network.run(scene.network.connect(timeout=15.0))
    assert scene.network.clock.seconds() - began <= 8


def test_the_probe_behind_a_lost_first_packet_does_not_end_the_attempt(scene: Scene) -> None:
    dropped: list[int] = []

    def first_with_token_is_lost(data: bytes, source: Any, destination: Any) -> bool:
        if destination == SERVER and source[0] == "203.0.113.66" and len(dropped) < 2:
            dropped.append(len(data))
            return len(dropped) != 2
        return True

    scene.network.filter = first_with_token_is_lost
    hostile = on_network(scene.network)
    hostile.begin()
    scene.network.pass_time(0.5)
    assert len(dropped) == 2
    assert not hostile.has_shaken_hands()
    # A probe without CRYPTO, then what was lost.
    hostile.quic.send_ping(1)
    space = hostile.quic._spaces[next(iter(hostile.quic._spaces))]
    number = hostile.quic._packet_number
    cid = hostile.quic._peer_cid.cid
    token = hostile.quic._peer_token
    crypto = hostile.quic._cryptos[next(iter(hostile.quic._spaces))]
    payload = b"\x01" + bytes(1200)
    length = 2 + len(payload) + 16
    header = (
        b"\xc1\x00\x00\x00\x01" + bytes([len(cid)]) + cid
        + bytes([len(hostile.quic.host_cid)]) + hostile.quic.host_cid
        + (0x4000 | len(token)).to_bytes(2, "big") + token
        + (0x4000 | length).to_bytes(2, "big") + number.to_bytes(2, "big")
    )  # fmt: skip
    assert space is not None
    hostile.quic._packet_number += 1
    hostile.send(bytes(crypto.encrypt_packet(header, payload, number)))
    scene.network.pass_time(0.1)
    assert hostile.closed is None
    due = hostile.quic.get_timer()
    assert due is not None
    scene.network.pass_time(max(0.0, due - scene.network.clock.seconds()) + 0.01)
    hostile.quic.handle_timer(now=scene.network.clock.seconds())
    hostile.flush()
    scene.network.until(hostile.has_shaken_hands)


def test_a_spoofed_move_gets_no_more_than_three_times_what_was_sent(scene: Scene) -> None:
    hostile = connected(scene.network)
    victim = Stranger(scene.network, "203.0.113.200", 7)
    got: list[bytes] = []
    victim.carrier.received = lambda data, address: got.append(data)
    sent = 0
    for _ in range(5):
        packet = hostile.packet(b"\x01")
        sent += len(packet)
        victim.carrier.send(packet, SERVER)
        scene.network.pass_time(0.02)
    scene.network.pass_time(3)
    assert got, "the server looked whether the client is there"
    assert sum(map(len, got)) <= 3 * sent
    # It is not, so the connection goes on where it was.
    before = hostile.received
    hostile.frames(b"\x01")
    scene.network.pass_time(1)
    assert hostile.received > before
    scene.check_honest()


def test_what_a_stranger_gets_is_never_more_than_it_sent(scene: Scene) -> None:
    stranger = Stranger(scene.network)
    unknown = b"\xc0\x1a\x2a\x3a\x4a\x08" + bytes(8) + b"\x08" + bytes(8)
    for sent, expected in (
        (first_packet(), QuicPacketType.RETRY),
        (unknown.ljust(1200, b"\0"), QuicPacketType.VERSION_NEGOTIATION),
        # With a token of its own making it hears so (INVALID_TOKEN), and that is all.
        (_with_token(first_packet()), QuicPacketType.INITIAL),
    ):
        [answer] = stranger.send(sent)
        assert kind(answer) == expected
        assert len(answer) < len(sent)
    assert scene.server._drivers.keys() == {
        cid for driver, cids in scene.server._ids.items() for cid in cids
    }
    assert len(scene.server._half_open) == 0


def _with_token(packet: bytes) -> bytes:
    # After the connection ids comes the token's length, 0 in a client's first packet.
    at = 6 + packet[5]
    at += 1 + packet[at]
    assert packet[at] == 0
    return packet[:at] + b"\x10" + bytes(16) + packet[at + 1 :]


def test_no_session_ticket_is_given(scene: Scene) -> None:
    hostile = connected(scene.network)
    hostile.frames(b"\x01")
    scene.network.pass_time(1)
    assert hostile.tickets == []


@pytest.mark.parametrize("seed", range(3))
def test_mutated_datagrams_are_survived(seed: int) -> None:
    print(f"mutations seed {seed}")
    scene = Scene(seed)
    seen: list[tuple[bytes, Any]] = []

    def note(data: bytes, source: Any, destination: Any) -> bool:
        if destination == SERVER:
            seen.append((data, source))
        return True

    scene.network.filter = note
    connected(scene.network, port=700 + seed)
    scene.network.run(scene.honest.request("GET", "/nothing"))
    scene.network.filter = None
    assert len(seen) >= 4, "first packets, handshakes and what follows"
    for count in range(1000):
        datagram, source = scene.chance.choice(seen)
        other, _ = scene.chance.choice(seen)
        bad = mutated(datagram, other, scene.chance)
        if bad:
            scene.server.datagram_received(bad, source)
        if count % 100 == 99:
            scene.network.pass_time(0.01)
    scene.check_honest()
    assert len(scene.server._half_open) <= MAX_HALF_OPEN_PER_HOST
