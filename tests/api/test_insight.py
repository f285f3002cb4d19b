"""How a connection fares, and the record of its packets, as the API tells them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetainer.errors import EdgetainerError
from edgetainer.services.insight import MAX_SECONDS
from tests import databases
from tests.api.test_metered import Metered


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[Metered]:
    with databases.opened("sqlite", tmp_path, reactor=None) as database:
        metered = Metered(database, tmp_path, 150)
        metered.world.pass_time(100)
        yield metered


def path(metered: Metered, what: str) -> str:
    return f"/api/devices/{metered.id}/{what}"


def test_a_session_is_told_as_it_is(metered: Metered) -> None:
    answer = metered.api.ask("GET", path(metered, "session"), who="viewer")
    assert answer.status == 200
    told = answer.body
    assert (told["profile"], told["carrier"], told["peer"]) == ("metered", "udp", "203.0.113.7")
    assert told["keepalive_s"] == metered.keepalive_s
    assert told["rtt_s"] == pytest.approx(0.08, abs=0.02)
    assert 99 < told["connected_s"] < 101
    assert (told["reconnects"], told["migrations"], told["packets_lost"]) == (0, 0, 0)
    assert told["channels"] == 1
    assert told["sent_by_class"]["interactive"] > 0
    assert told["received_by_class"]["request"] > 500
    assert told["bytes_received"] > told["received_by_class"]["request"]


def test_a_device_that_came_again_is_counted(metered: Metered) -> None:
    metered.world.switchboard.disconnect(metered.id, EdgetainerError("session_closed"))
    metered.world.until(lambda: len(metered.device.told("connected")) == 2)
    assert metered.api.ask("GET", path(metered, "session")).body["reconnects"] == 1


def test_without_a_session_there_is_nothing_to_tell(metered: Metered) -> None:
    metered.world.run(metered.device.dialer.stop())
    metered.world.pass_time(1)
    for method, what, body in (
        ("GET", "session", None),
        ("POST", "qlog", {"seconds": 5}),
    ):
        answer = metered.api.ask(method, path(metered, what), body)
        assert (answer.status, answer.code) == (503, "device_offline")


def test_the_packets_of_a_device_are_recorded_on_request(metered: Metered) -> None:
    api, here = metered.api, path(metered, "qlog")
    assert api.ask("GET", here).code == "not_found"
    started = api.ask("POST", here, {"seconds": 60})
    assert (started.status, started.body) == (202, {"seconds": 60})
    assert api.ask("POST", here, {"seconds": 60}).code == "in_use"
    assert api.ask("GET", here).code == "in_use"
    metered.world.pass_time(61)
    record = api.ask("GET", here)
    assert (record.status, record.kind) == (200, "application/gzip")
    head, *events = gzip.decompress(record.body).split(b"\x1e")[1:]
    assert json.loads(head)["qlog_format"] == "JSON-SEQ"
    assert any(b"packet_received" in event for event in events)
    assert metered.home.audited().count("devices.record") == 1
    quiet = gzip.decompress(record.body)
    metered.world.pass_time(61)
    assert gzip.decompress(api.ask("GET", here).body) == quiet
    # Another may be made now.
    assert api.ask("POST", here, {"seconds": 1}).status == 202


def test_a_record_ends_with_the_session(metered: Metered) -> None:
    api, here = metered.api, path(metered, "qlog")
    assert api.ask("POST", here, {"seconds": MAX_SECONDS}).status == 202
    metered.world.switchboard.disconnect(metered.id, EdgetainerError("session_closed"))
    metered.world.pass_time(5)
    record = api.ask("GET", here)
    assert record.status == 200
    assert b"connection_close" in gzip.decompress(record.body)


def test_only_admins_record(metered: Metered) -> None:
    for who in ("operator", "viewer"):
        for method, body in (("POST", {"seconds": 5}), ("GET", None)):
            assert metered.api.ask(method, path(metered, "qlog"), body, who=who).status == 403


@pytest.mark.parametrize("seconds", [0, -1, MAX_SECONDS + 1, "1", 1.5, None])
def test_a_record_has_an_end(metered: Metered, seconds: object) -> None:
    answer = metered.api.ask("POST", path(metered, "qlog"), {"seconds": seconds})
    assert (answer.status, answer.body["field"]) == (400, "seconds")
