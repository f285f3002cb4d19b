"""What is recorded of a connection, and what never is."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from aioquic.tls import Epoch

from edgetainer.quic.qlog import Recording
from tests.quic.pair import Echo, Pair, Recorder


def records(data: bytes) -> list[dict[str, Any]]:
    """The records of a JSON text sequence (RFC 7464)."""
    first, *texts = gzip.decompress(data).split(b"\x1e")
    assert first == b""
    assert all(text.endswith(b"\n") for text in texts)
    return [json.loads(text) for text in texts]


def frames(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [frame for event in events for frame in event["data"].get("frames", [])]


def test_a_live_connection_is_recorded_from_now_until_it_is_enough() -> None:
    pair = Pair(delay=0.04)
    there, back = Recorder(), Echo()
    pair.channel(there, back)
    recording = pair.server_connection.start_recording()
    began = pair.network.clock.seconds()
    there.transport.write(b"the secret of a terminal " * 100)
    pair.network.until(lambda: len(there.data) == 2500)
    pair.network.run(pair.client.ping())
    pair.server_connection.stop_recording()
    took = pair.network.clock.seconds() - began
    there.transport.write(b"not of the record")
    pair.network.pass_time(1)
    head, *events = records(recording.finish())
    assert (head["qlog_format"], head["trace"]["vantage_point"]["type"]) == ("JSON-SEQ", "server")
    names = {event["name"] for event in events}
    assert names >= {"transport:packet_sent", "transport:packet_received"}
    assert all(0 <= event["time"] <= 1000 * took for event in events)
    kinds = {frame["frame_type"] for frame in frames(events)}
    assert kinds >= {"stream", "ack", "ping"}
    sent = sum(
        frame["length"]
        for event in events
        if event["name"] == "transport:packet_sent"
        for frame in event["data"]["frames"]
        if frame["frame_type"] == "stream"
    )
    assert 2500 <= sent < 2600


def test_neither_bytes_nor_keys_nor_tokens_are_in_it() -> None:
    pair = Pair()
    there, back = Recorder(), Echo()
    pair.channel(there, back)
    recording = pair.client.start_recording()
    there.transport.write(b"hunter2" * 50)
    pair.server_connection.driver.quic.change_connection_id()
    pair.client.driver.quic.change_connection_id()
    pair.client.driver.quic.request_key_update()
    pair.network.until(lambda: len(there.data) == 350)
    pair.network.run(pair.client.ping())
    pair.network.pass_time(2)
    text = gzip.decompress(recording.finish())
    assert b"new_connection_id" in text
    quic = pair.client.driver.quic
    keys = quic._cryptos[Epoch.ONE_RTT]
    assert keys.send.secret is not None
    assert keys.recv.secret is not None
    for secret in (b"hunter2", keys.send.secret, keys.recv.secret):
        assert secret not in text
        assert secret.hex().encode() not in text
    assert b"reset_token" not in text
    for connection_id in (quic._peer_cid, *quic._peer_cid_available):
        assert connection_id.stateless_reset_token.hex().encode() not in text


def test_a_record_stops_growing_at_its_bound() -> None:
    recording = Recording(is_client=True, connection_id=b"12345678", clock=lambda: 0.0, most=10_000)
    for number in range(10_000):
        recording.log_event(category="test", event="x", data={"number": number})
    data = recording.finish()
    assert len(gzip.decompress(data)) <= 10_000
    assert len(records(data)) > 100
    recording.log_event(category="test", event="late", data={})
    assert recording.finish() == data


@pytest.mark.parametrize("closed_by", ["client", "server"])
def test_a_connection_that_ends_while_it_is_recorded_ends_cleanly(closed_by: str) -> None:
    pair = Pair()
    recording = pair.server_connection.start_recording()
    ends = {"client": pair.client, "server": pair.server_connection}
    ends[closed_by].close(0x123, "enough")
    pair.network.pass_time(30)
    events = records(recording.finish())[1:]
    assert any(frame["frame_type"] == "connection_close" for frame in frames(events))
    assert pair.server_connection.driver.quic._quic_logger is None
