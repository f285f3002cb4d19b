"""The shell around a connection: its timer, its turns, its end."""

from __future__ import annotations

from typing import Any

import pytest

from edgetainer.quic.errors import ConnectionClosed, ConnectionReset
from tests.quic.pair import Echo, Pair, Recorder


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_many_writes_of_one_turn_share_datagrams(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    pair.network.pass_time(1)
    before = pair.network.carried
    for _ in range(100):
        server.transport.write(b"0123456789")
    pair.network.pass_time(0.015)
    assert client.data == b"0123456789" * 100
    assert pair.network.carried - before <= 3, "one with the bytes, and what answers it"


def test_an_idle_connection_wakes_nobody(pair: Pair) -> None:
    pair.network.pass_time(60)
    before = pair.network.carried
    wakes = len(pair.network.clock.getDelayedCalls())
    pair.network.pass_time(600)
    assert pair.network.carried == before
    assert wakes <= 2, "the idle time-out of each end"


def test_a_mistake_in_what_events_mean_ends_the_connection_and_is_logged(
    pair: Pair, logged_failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(event: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(pair.server_connection, "quic_event", broken)
    over = pair.client.notify_close()
    pair.client.request("GET", "/").addErrback(lambda _: None)
    with pytest.raises(ConnectionClosed) as caught:
        pair.network.run(over)
    assert (caught.value.code, caught.value.reason) == (0x102, "internal error")
    assert all("a mistake of ours" in logged for logged in logged_failures)
    logged_failures.clear()


def test_the_end_is_told_once_and_leaves_no_timer(pair: Pair) -> None:
    told: list[Any] = []
    for _ in range(2):
        pair.client.notify_close().addBoth(told.append)
    ping = pair.client.ping()
    pair.client.close(9, "x" * 5000)
    pair.client.close(10, "again")
    assert len(told) == 2
    assert all(each.value.code == 9 for each in told)
    with pytest.raises(ConnectionClosed):
        pair.network.run(ping)
    pair.network.pass_time(60)
    assert pair.network.clock.getDelayedCalls() == []
    assert told[0].value.reason == "x" * 200, "one line"


def test_an_abandoned_connection_says_nothing_and_is_forgotten(pair: Pair) -> None:
    pair.network.pass_time(1)
    before = pair.network.carried
    over = pair.server_connection.notify_close()
    pair.server_connection.driver.abandon()
    assert over.called
    assert pair.network.carried == before
    assert pair.server._drivers == {}


def test_a_cancelled_ping_does_not_fire(pair: Pair) -> None:
    failed: list[Any] = []
    ping = pair.client.ping()
    ping.addErrback(failed.append)
    ping.cancel()
    pair.network.pass_time(1)
    assert len(failed) == 1
    assert pair.client.driver._pings == {}


def test_a_close_is_repeated_ever_more_rarely(pair: Pair) -> None:
    """To a peer that does not hear it: at its 1st, 2nd, 4th, 8th datagram."""
    said: list[int] = []
    pair.server_connection.close(3, "bye")
    driver = pair.server_connection.driver
    before = pair.network.carried
    for number in range(1, 17):
        driver.datagram_received(b"\x40" + bytes(40), ("198.51.100.1", 40001))
        if pair.network.carried > before:
            said.append(number)
            before = pair.network.carried
    assert said == [1, 2, 4, 8, 16]


def test_what_arrives_together_is_answered_at_once_and_together(pair: Pair) -> None:
    server = Recorder()
    client = Echo()
    pair.channel(server, client)
    pair.network.pass_time(1)
    carrier: Any = pair.client.driver.carrier
    sent: list[int] = []
    send_many = carrier.send_many
    carrier.send_many = lambda datagrams: (sent.append(len(datagrams)), send_many(datagrams))
    held: list[tuple[bytes, Any]] = []
    carrier.received, deliver = lambda data, source: held.append((data, source)), carrier.received
    for _ in range(4):
        server.transport.write(b"x" * 1000)
        pair.server_connection.driver._send_now()
    pair.network.pass_time(0.012)
    assert (len(held), sent) == (4, [])
    for data, source in held:
        deliver(data, source)
    assert sent == [], "not one answer for each"
    carrier.batch_done()
    assert len(sent) == 1, "one answer, before the reactor turns"
    carrier.received = deliver
    pair.network.pass_time(1)
    assert server.data == b"x" * 4000


def test_timers_move_without_a_new_call_for_each_packet(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    pair.network.pass_time(1)
    clock = pair.network.clock
    calls: list[str] = []
    call_later = clock.callLater

    def counted(delay: float, call: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(call.__name__)
        return call_later(delay, call, *args, **kwargs)

    driver = pair.server_connection.driver
    monkeypatch.setattr(clock, "callLater", counted)
    due = []
    for _ in range(50):
        clock.rightNow += 0.001
        driver.quic.send_ping(0)
        driver._turn()
        due.append(driver.quic.get_timer())
    assert len(set(due)) == 50, "each packet puts the probe off"
    assert calls.count("_wake") <= 2
    monkeypatch.undo()
    pair.network.pass_time(5)
    assert pair.server_connection.driver.failure is None


def test_a_mistake_of_the_state_machine_drops_its_connection_and_leaves_no_timer(
    pair: Pair, logged_failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*, now: float) -> Any:
        raise RuntimeError("a mistake of ours")

    over = pair.server_connection.notify_close()
    monkeypatch.setattr(pair.server_connection.driver.quic, "datagrams_to_send", broken)
    pair.client.ping().addErrback(lambda _: None)
    with pytest.raises(ConnectionClosed) as caught:
        pair.network.run(over)
    assert (caught.value.code, caught.value.reason) == (0x1, "internal error")
    assert pair.server._drivers == {}
    [logged] = logged_failures
    assert "a mistake of ours" in logged
    logged_failures.clear()
    with pytest.raises(ConnectionReset):
        pair.network.run(pair.client.notify_close())
    pair.network.pass_time(30)
    assert pair.network.clock.getDelayedCalls() == []
