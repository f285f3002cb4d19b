"""The private names of aioquic that we override or touch, each with its shape.

The version is pinned. Who raises it reads this list against the new sources:
every name here is a promise that aioquic did not make.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from aioquic import tls
from aioquic.h3.connection import H3Connection, H3Stream
from aioquic.quic.connection import Limit, QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketRecovery
from aioquic.quic.retry import QuicRetryTokenHandler
from aioquic.quic.stream import QuicStreamReceiver, QuicStreamSender

from tests.quic.pair import Pair


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("aioquic") == "1.7.2"


OVERRIDDEN = [
    (QuicConnection, "_parse_transport_parameters", ["self", "data", "from_session_ticket"]),
    (QuicConnection, "_send_probing_frames", ["self", "network_path", "now"]),
    (
        CryptoPair,
        "decrypt_packet",
        ["self", "packet", "encrypted_offset", "expected_packet_number"],
    ),
    (CryptoPair, "_update_key", ["self", "trigger"]),
    (QuicConnection, "datagrams_to_send", ["self", "now"]),
    (QuicConnection, "get_timer", ["self"]),
    (QuicConnection, "_confirm_handshake", ["self"]),
    (QuicConnection, "_initialize", ["self", "peer_cid"]),
    (QuicConnection, "_payload_received", ["self", "context", "plain", "crypto_frame_required"]),
    (QuicConnection, "_receive_retry_packet", ["self", "header", "packet_without_tag", "now"]),
    (QuicConnection, "_replenish_connection_ids", ["self"]),
    (QuicConnection, "_get_or_create_stream", ["self", "frame_type", "stream_id"]),
    (QuicConnection, "_get_or_create_stream_for_send", ["self", "stream_id"]),
    (QuicConnection, "_unblock_streams", ["self", "is_unidirectional"]),
    *(
        (QuicConnection, f"_handle_{name}_frame", ["self", "context", "frame_type", "buf"])
        for name in (
            "crypto",
            "datagram",
            "max_data",
            "max_stream_data",
            "max_streams_bidi",
            "max_streams_uni",
            "reset_stream",
            "retire_connection_id",
            "stop_sending",
            "stream",
        )
    ),
    (QuicConnection, "_write_new_connection_id_frame", ["self", "builder", "connection_id"]),
    (QuicConnection, "_on_max_stream_data_delivery", ["self", "delivery", "stream"]),
    (QuicConnection, "_write_application", ["self", "builder", "network_path", "now"]),
    (QuicConnection, "_write_connection_limits", ["self", "builder", "space"]),
    (
        QuicConnection,
        "_write_stream_frame",
        ["self", "builder", "space", "stream", "max_offset"],
    ),
    (QuicConnection, "_write_stream_limits", ["self", "builder", "space", "stream"]),
    (QuicConnection, "_close_end", ["self"]),
    (QuicConnection, "receive_datagram", ["self", "data", "addr", "now"]),
    (QuicConnection, "datagrams_to_send", ["self", "now"]),
    (
        QuicPacketRecovery,
        "_on_packets_lost",
        ["self", "congestion_event", "now", "packets", "persistent_congestion", "space"],
    ),
    (QuicPacketRecovery, "get_loss_detection_time", ["self", "amplification_limited"]),
    (QuicPacketRecovery, "get_probe_timeout", ["self", "include_max_ack_delay"]),
    (
        QuicPacketRecovery,
        "on_ack_received",
        ["self", "ack_rangeset", "ack_delay", "now", "space"],
    ),
    (QuicPacketRecovery, "on_loss_detection_timeout", ["self", "now"]),
    (QuicPacketRecovery, "on_packet_sent", ["self", "packet", "space"]),
    (QuicPacketRecovery, "reschedule_data", ["self", "now", "speed_up_handshake"]),
    (QuicPacketRecovery, "discard_space", ["self", "space"]),
    (QuicPacketRecovery, "_detect_loss", ["self", "now", "space"]),
    (QuicStreamSender, "on_data_delivery", ["self", "delivery", "start", "stop", "fin"]),
    (QuicStreamSender, "on_reset_delivery", ["self", "delivery"]),
    (H3Connection, "_init_connection", ["self"]),
    (H3Connection, "_get_local_settings", ["self"]),
    (H3Connection, "_decode_headers", ["self", "stream_id", "frame_data"]),
    (tls.Context, "_server_handle_certificate", ["self", "input_buf"]),
    (tls.Context, "_server_handle_certificate_verify", ["self", "input_buf"]),
    (tls.Context, "_client_handle_certificate_verify", ["self", "input_buf"]),
]


@pytest.mark.parametrize(("owner", "name", "parameters"), OVERRIDDEN)
def test_overridden_methods_have_the_shape_we_know(
    owner: type, name: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


CALLED = [
    (CryptoPair, "_update_key"),
    (QuicConnection, "_add_network_path"),
    (QuicConnection, "_close_begin"),
    (QuicConnection, "_find_network_path"),
    (QuicConnection, "_flush_builder"),
    (QuicConnection, "_retire_peer_cid"),
    (QuicConnection, "_write_path_challenge_frame"),
    (QuicConnection, "_write_ping_frame"),
    (QuicConnection, "_stream_can_send"),
    (QuicConnection, "_stream_can_receive"),
    (QuicConnection, "_send_probe"),
    (QuicConnection, "_stream_limit"),
    (QuicConnection, "_write_ack_frame"),
    (QuicConnection, "_write_crypto_frame"),
    (QuicConnection, "_write_handshake_done_frame"),
    (QuicConnection, "_write_new_connection_id_frame"),
    (QuicConnection, "_write_path_response_frame"),
    (QuicConnection, "_write_reset_stream_frame"),
    (QuicConnection, "_write_retire_connection_id_frame"),
    (QuicConnection, "_write_stop_sending_frame"),
    (QuicConnection, "_write_streams_blocked_frame"),
    (QuicPacketBuilder, "_end_packet"),
    (QuicPacketRecovery, "_get_loss_space"),
    (QuicPacketRecovery, "_in_persistent_congestion"),
    (QuicPacketRecovery, "_log_metrics_updated"),
    (QuicConnection, "_idle_timeout"),
    (QuicStreamSender, "reset"),
    (QuicStreamReceiver, "stop"),
    (QuicStreamReceiver, "starting_offset"),
]


@pytest.mark.parametrize(("owner", "name"), CALLED)
def test_methods_that_we_call_exist(owner: type, name: str) -> None:
    assert callable(getattr(owner, name))


ATTRIBUTES: dict[str, list[str]] = {
    "quic": [
        "_QuicConnection__frame_handlers",
        "_events",
        "_ack_delay",
        "_ack_eliciting_sent_since_receipt",
        "_close_at",
        "_close_event",
        "_crypto_buffers",
        "_close_pending",
        "_crypto_streams",
        "_cryptos",
        "_handshake_complete",
        "_handshake_done_pending",
        "_pacing_at",
        "_peer_cid",
        "_ping_pending",
        "_probe_pending",
        "_remote_max_data",
        "_remote_max_data_used",
        "_remote_max_streams_uni",
        "_retire_connection_ids",
        "_spaces",
        "_spin_bit",
        "_spin_highest_pn",
        "_streams_blocked_bidi",
        "_streams_blocked_pending",
        "_streams_blocked_uni",
        "_configuration",
        "_handshake_confirmed",
        "_host_cid_seq",
        "_host_cids",
        "_local_initial_source_connection_id",
        "_local_max_data",
        "_local_max_stream_data_bidi_local",
        "_local_max_stream_data_bidi_remote",
        "_local_max_stream_data_uni",
        "_local_max_streams_bidi",
        "_local_max_streams_uni",
        "_local_next_stream_id_bidi",
        "_logger",
        "_loss",
        "_max_datagram_size",
        "_network_paths",
        "_packet_number",
        "_version",
        "_quic_logger",
        "_remote_ack_delay_exponent",
        "_remote_max_streams_bidi",
        "_retry_count",
        "_state",
        "_streams",
        "_streams_queue",
        "tls",
    ],
    "loss": [
        "_cc",
        "_pacer",
        "_pto_count",
        "_rtt_initial",
        "_rtt_initialized",
        "_rtt_latest",
        "_rtt_min",
        "_rtt_smoothed",
        "_rtt_variance",
        "_time_of_last_sent_ack_eliciting_packet",
    ],
    "path": [
        "addr",
        "bytes_received",
        "bytes_sent",
        "is_validated",
        "local_challenge_sent",
        "local_challenges",
        "peer_cid",
        "validation_deadline",
        "remote_challenges",
    ],
    "connection_id": ["cid", "sequence_number", "stateless_reset_token"],
    "retry": ["_aead"],
    "keys": ["aead", "hp", "secret", "cipher_suite", "version", "key_phase"],
    "sender": [
        "_buffer",
        "_acked",
        "_acked_fin",
        "_buffer_fin",
        "_buffer_start",
        "_buffer_stop",
        "_pending",
        "_pending_eof",
        "_reset_error_code",
        "buffer_is_empty",
        "highest_offset",
        "is_finished",
        "reset_pending",
    ],
    "receiver": [
        "_buffer",
        "_buffer_start",
        "_ranges",
        "highest_offset",
        "is_finished",
        "stop_pending",
    ],
    "stream": [
        "is_blocked",
        "max_stream_data_local",
        "max_stream_data_local_sent",
        "max_stream_data_remote",
    ],
    "tls": ["_peer_certificate", "_peer_certificate_chain", "_request_client_certificate"],
    "h3": [
        "_blocked_streams",
        "_decoder",
        "_is_done",
        "_max_push_id",
        "_max_table_capacity",
        "_quic",
        "_settings_received",
        "_stream",
    ],
}


def test_attributes_that_we_touch_exist() -> None:
    pair = Pair()
    quic = pair.client.driver.quic
    stream = quic._streams[0]
    places: dict[str, Any] = {
        "quic": quic,
        "loss": quic._loss,
        "space": quic._loss.spaces[-1],
        "path": quic._network_paths[0],
        "connection_id": quic._peer_cid,
        "retry": QuicRetryTokenHandler(),
        "keys": quic._cryptos[tls.Epoch.ONE_RTT].recv,
        "sender": stream.sender,
        "receiver": stream.receiver,
        "stream": stream,
        "tls": quic.tls,
        "h3": pair.client.framing,
    }
    missing = [
        f"{place}.{name}"
        for place, names in ATTRIBUTES.items()
        for name in names
        if not hasattr(places[place], name)
    ]
    assert missing == []


def test_limits_and_http3_streams_keep_the_fields_that_we_use() -> None:
    limit = Limit(0, "x", 5)
    assert (limit.used, limit.sent, limit.value) == (0, 5, 5)
    stream = H3Stream(0)
    assert (stream.buffer, stream.frame_size, stream.frame_type, stream.session_id) == (
        b"",
        None,
        None,
        None,
    )


def test_the_server_sends_no_session_ticket() -> None:
    quic = Pair().server_connection.driver.quic
    assert quic._session_ticket_handler is None
    assert quic._session_ticket_fetcher is None
    assert quic.tls.new_session_ticket_cb is None
