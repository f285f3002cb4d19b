"""The bounds and the identity that our QUIC connection adds to aioquic's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aioquic import tls
from aioquic.buffer import encode_uint_var
from aioquic.quic import events
from aioquic.quic.connection import QuicConnectionError, QuicReceiveContext
from aioquic.quic.packet import QuicErrorCode
from cryptography.hazmat.primitives import hashes

from edgetainer.quic.connection import Connection
from edgetainer.quic.credit import CONNECTION_WINDOW, STREAM_WINDOW, WINDOW_MAX
from edgetainer.quic.crediting import Limits
from edgetainer.quic.errors import CertificateRefused, ConnectionClosed
from edgetainer.quic.settings import ClientTls, ServerTls
from tests.authority import Authority, Leaf, ed25519_key, for_servers, p256
from tests.network import SERVER_NAME, Network
from tests.quic.pair import Pair, Recorder, Source

# Who is let in: the eight cases.


@pytest.fixture
def handshakes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The events that servers emit, by name."""
    seen: list[str] = []
    original = Connection.next_event

    def spy(self: Connection) -> events.QuicEvent | None:
        event = original(self)
        if event is not None and not self.configuration.is_client:
            seen.append(type(event).__name__)
        return event

    monkeypatch.setattr(Connection, "next_event", spy)
    return seen


def _wrong_key(authority: Authority) -> Leaf:
    return Leaf(authority.client().certificate, p256())


REFUSED: dict[str, Callable[[Authority], Leaf | None]] = {
    "none": lambda authority: None,
    "other authority": lambda authority: Authority("another").client(),
    "revoked": lambda authority: authority.client("revoked"),
    "expired": lambda authority: authority.client(expired=True),
    "server usage": lambda authority: authority.client(usage=for_servers()),
    "wrong key": _wrong_key,
}

ACCEPTED: dict[str, Callable[[Authority], Leaf]] = {
    "P-256": lambda authority: authority.client("device"),
    "Ed25519": lambda authority: authority.client("device", make_key=ed25519_key),
}


def _connect(network: Network, leaf: Leaf | None) -> Any:
    def verify(chain: list[Any]) -> object:
        identity = network.verify_client(chain)
        if identity == "CN=revoked":
            raise LookupError("this key was revoked, says the database at 10.0.0.1")
        return chain[0].fingerprint(hashes.SHA256()).hex()

    accepted: list[Any] = []
    network.listen(tls=network.server_tls(verify_client=verify), on_connection=accepted.append)
    pair = (leaf.certificate_pem, leaf.key_pem) if leaf else (None, None)
    connecting = network.connect(tls=ClientTls(network.authority.pem, SERVER_NAME, *pair))
    return connecting, accepted


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_the_handshake(case: str, handshakes: list[str]) -> None:
    network = Network()
    connecting, accepted = _connect(network, REFUSED[case](network.authority))
    with pytest.raises(ConnectionClosed) as caught:
        network.run(connecting)
    assert caught.value.by_peer
    assert 0x100 < caught.value.code < 0x200, "a TLS alert"
    assert "10.0.0.1" not in caught.value.reason, "our reasons stay here"
    network.pass_time(10)
    assert accepted == []
    assert "HandshakeCompleted" not in handshakes
    assert not any(name.startswith("Stream") for name in handshakes)


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str, handshakes: list[str]) -> None:
    network = Network()
    leaf = ACCEPTED[case](network.authority)
    connecting, accepted = _connect(network, leaf)
    network.run(connecting)
    assert [connection.identity for connection in accepted] == [
        leaf.certificate.fingerprint(hashes.SHA256()).hex()
    ]
    assert handshakes.count("HandshakeCompleted") == 1


def test_a_refusal_made_for_the_client_reaches_it() -> None:
    network = Network()

    def verify(chain: list[Any]) -> object:
        raise CertificateRefused("Renew your certificate")

    network.listen(tls=network.server_tls(verify_client=verify))
    with pytest.raises(ConnectionClosed, match="Renew your certificate"):
        network.run(network.connect())


def test_a_server_may_ask_for_no_certificate() -> None:
    network = Network()
    accepted: list[Any] = []
    network.listen(tls=network.server_tls(verify_client=None), on_connection=accepted.append)
    network.run(network.connect(tls=ClientTls(network.authority.pem, SERVER_NAME)))
    assert accepted[0].identity is None


@pytest.mark.parametrize("seed", range(1, 9))
def test_handshakes_succeed_on_a_bad_link(seed: int) -> None:
    network = Network(seed=seed, loss=0.15, delay=0.05, jitter=0.03, duplicate=0.05)
    network.listen()
    network.run(network.connect())


def test_a_client_trusts_only_its_authorities_and_the_right_name() -> None:
    network = Network()
    network.listen()
    leaf = network.authority.client()
    other = ClientTls(Authority("other").pem, SERVER_NAME, leaf.certificate_pem, leaf.key_pem)
    with pytest.raises(ConnectionClosed):
        network.run(network.connect(tls=other))
    misnamed = ClientTls(network.authority.pem, "x.test", leaf.certificate_pem, leaf.key_pem)
    with pytest.raises(ConnectionClosed):
        network.run(network.connect(tls=misnamed))


def test_a_client_certificate_does_not_make_a_server() -> None:
    network = Network()
    fake = network.authority.client(SERVER_NAME, san=SERVER_NAME)
    network.listen(tls=ServerTls(fake.certificate_pem, fake.key_pem, network.verify_client))
    with pytest.raises(ConnectionClosed):
        network.run(network.connect())


# What a peer can make us keep.


def _frame(quic: Connection, frame_type: int, content: bytes) -> None:
    """Let the connection handle one frame, as if it had come in a packet."""
    context = QuicReceiveContext(
        epoch=tls.Epoch.ONE_RTT,
        host_cid=quic.host_cid,
        network_path=quic._network_paths[0],
        quic_logger_frames=[],
        time=0.0,
        version=1,
    )
    quic._payload_received(context, encode_uint_var(frame_type) + content)


def _stream_frame(stream_id: int, offset: int, data: bytes) -> bytes:
    return encode_uint_var(stream_id) + encode_uint_var(offset) + data


def test_holes_at_the_start_of_streams_cost_no_more_than_the_window() -> None:
    """A byte far into each stream, and none before it: aioquic buffers the gap."""
    quic = Pair().server_connection.driver.quic
    far = CONNECTION_WINDOW // 4
    for number in range(1, 4):
        _frame(quic, 0x0C, _stream_frame(4 * number, far - 1, b"x"))
    with pytest.raises(QuicConnectionError) as caught:
        _frame(quic, 0x0C, _stream_frame(400, far - 1, b"x"))
    assert caught.value.error_code == QuicErrorCode.FLOW_CONTROL_ERROR
    assert far < quic.buffered() <= CONNECTION_WINDOW


def test_the_window_of_a_stream_does_not_open_for_bytes_that_nobody_took() -> None:
    window = CONNECTION_WINDOW // 4
    quic = Pair(server={"limits": Limits(stream_window=window)}).server_connection.driver.quic
    _frame(quic, 0x0C, _stream_frame(4, 0, bytes(window)))
    quic.datagrams_to_send(now=0.0)
    with pytest.raises(QuicConnectionError) as caught:
        _frame(quic, 0x0C, _stream_frame(4, window, b"x"))
    assert caught.value.error_code == QuicErrorCode.FLOW_CONTROL_ERROR


def test_more_streams_than_granted_are_an_error() -> None:
    quic = Pair().server_connection.driver.quic
    with pytest.raises(QuicConnectionError) as caught:
        _frame(quic, 0x0C, _stream_frame(4 * 256, 0, b"x"))
    assert caught.value.error_code == QuicErrorCode.STREAM_LIMIT_ERROR


def test_unsent_bytes_are_counted() -> None:
    pair = Pair()
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    pair.network.pass_time(1)
    quic = pair.server_connection.driver.quic
    pair.network.up = False
    server.transport.write(bytes(5_000_000))
    assert quic.unsent_total == quic.unsent(server.transport.stream_id) == 5_000_000
    pair.network.pass_time(0.5)
    assert 4_000_000 < quic.unsent_total < 5_000_000
    server.transport.abortConnection()
    pair.network.pass_time(0.5)
    assert quic.unsent_total == 0


# Recovery.


def test_the_link_is_used_soon_after_a_long_outage() -> None:
    pair = Pair()
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    pair.network.up = False
    server.transport.write(b"while it was away")
    pair.network.pass_time(300)
    pair.network.up = True
    back = pair.network.clock.seconds()
    pair.network.until(lambda: bool(client.data))
    assert pair.network.clock.seconds() - back < 2.1


def test_a_connection_survives_fourteen_minutes_and_not_sixteen() -> None:
    pair = Pair()
    pair.network.up = False
    pair.network.pass_time(14 * 60)
    pair.network.up = True
    pair.network.run(pair.client.ping())
    over = pair.client.notify_close()
    pair.network.up = False
    with pytest.raises(ConnectionClosed, match="Idle timeout"):
        pair.network.run(over, timeout=16 * 60)


def test_windows_grow_for_a_reader_that_keeps_up_and_not_beyond_their_bounds() -> None:
    pair = Pair(delay=0.1)
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    Source(pair.network, server.transport, 6_000_000)
    pair.network.until(lambda: len(client.data) > 3_000_000)
    quic = pair.client.driver.quic
    assert STREAM_WINDOW < quic._streams[server.transport.stream_id].window.size <= WINDOW_MAX
    pair.network.until(lambda: len(client.data) == 6_000_000)


def test_connection_ids_carry_the_tag_of_their_owner() -> None:
    pair = Pair(server={"owner": 0xA7})
    quic = pair.server_connection.driver.quic
    pair.network.pass_time(1)
    assert len(quic._host_cids) == 8
    assert {each.cid[0] for each in quic._host_cids} == {0xA7}
    assert len({each.cid for each in quic._host_cids}) == 8
