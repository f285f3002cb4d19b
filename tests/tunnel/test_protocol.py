"""PROTOCOL.md is normative: its numbers and examples are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import edgetainer.tunnel
from edgetainer.errors import CODES
from edgetainer.quic import websocket, websocket_server
from edgetainer.quic.addresses import MAX_ADDRESSES
from edgetainer.tunnel import backoff, carriage, keepalive, limits, profiles, vigil
from edgetainer.tunnel.closing import CLOSE_CODES
from edgetainer.tunnel.listener import MAX_REFUSALS
from edgetainer.tunnel.messages import FrameType, TcpTarget, encode_open, encode_reply
from edgetainer.tunnel.wire import MAX_DEPTH

TEXT = (Path(edgetainer.tunnel.__file__).parent / "PROTOCOL.md").read_text()


def test_the_example_is_what_the_code_sends() -> None:
    lines = re.findall(r"^((?:[0-9a-f]{2} ){4})(\{.*\})$", TEXT, re.MULTILINE)
    messages = [bytes.fromhex(prefix) + body.encode() for prefix, body in lines]
    assert messages == [encode_open(TcpTarget("web", 80)), encode_reply(None)]


def test_the_frame_types_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z0-9]+) \|", TEXT, re.MULTILINE)
    assert {name: int(number) for number, name in rows} == {
        kind.name: kind.value for kind in FrameType
    }


def test_the_close_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (0x[0-9A-F]+) \| `(\w+)` \|", TEXT, re.MULTILINE)
    assert {name: int(number, 16) for number, name in rows} == CLOSE_CODES


def test_the_refusals_are_codes_that_exist() -> None:
    table = TEXT.partition("| code | meaning |")[2].partition("\n\n")[0]
    codes = set(re.findall(r"`(\w+)`", table))
    assert len(codes) > 8
    assert codes <= set(CODES)


@pytest.mark.parametrize(
    "words",
    [
        f"`:path` `{limits.SESSION_PATH}`",
        f"`{limits.HELLO_HEADER.decode()}`",
        f"at most {limits.MAX_HELLO:,} bytes",
        f"at most {limits.MAX_CHANNELS:,} channels",
        f"at most\n{limits.MAX_HEADER:,})",
        f"at most\n{limits.MAX_FRAME:,})",
        f"subprotocol `{websocket.SUBPROTOCOL}`",
        f"without an answer after {carriage.HEAD_START:.0f} s",
        f"wait only {carriage.SHORT_HEAD_START} s",
        f"asks after {carriage.ASK_FIRST:.0f} s, then at doubled intervals of up to\n"
        f"  {profiles.STANDARD.ask_most_s:.0f} s",
        f"has used for {websocket_server.SWEEP_S:.0f} s",
        f"within {limits.OPEN_DEADLINE:.0f} s of the stream",
        f"is closed after {limits.OPEN_DEADLINE:.0f} s",
        f"After {MAX_REFUSALS} refusals",
        f"{limits.KEEPALIVE:.0f} unless said",
        f"(1 to {limits.MAX_CELLS:,})",
        f"at most {limits.MAX_TIMEOUT:,.0f})",
        f"silent for {profiles.STANDARD_WATCH.ping_after:.0f} s",
        f"silent for {profiles.STANDARD_WATCH.limit:.0f} s",
        f"within {profiles.ANSWER_S:.0f} s of a PING",
        f"at least {keepalive.LEAST:.0f} and at most {keepalive.MOST:.0f}",
        f"begin with {keepalive.SAFE:.0f}",
        f"{vigil.SLACK_S:.0f} s later than",
        f"starts at {backoff.LEAST:.0f} s, doubles to {backoff.MOST:.0f} s",
        f"{profiles.METERED.redial_most_s:.0f} s on a metered link",
        f"(at most {MAX_ADDRESSES})",
        f"at most {MAX_DEPTH} levels",
    ],
)
def test_the_limits_are_those_of_the_code(words: str) -> None:
    def flat(text: str) -> str:
        return re.sub(r"\s+", " ", text).lower()

    assert flat(words) in flat(TEXT)
