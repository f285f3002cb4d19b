"""Sockets of the hub: who gets in, what they are told, and when they must go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from edgetainer.domain.access import Role
from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.hub.protocol import (
    BEAT_S,
    MESSAGE_BYTES,
    HubResource,
    LiveSocket,
)
from edgetainer.hub.socket import RECHECK_S, TICKET_WAIT_S, parse_message
from edgetainer.services.hub import HubTickets
from tests.hub.support import ADMIN, VIEWER, Browser, People, browse
from tests.wall import wall

ORIGIN = "https://console.example.com:8443"
DEVICE = "device:b0000000-0000-4000-8000-000000000001"


@dataclass
class Hub:
    clock: Clock
    people: People
    tickets: HubTickets
    events: Events
    port: int
    sockets: list[LiveSocket]

    async def browse(self, origin: str | None = ORIGIN, path: str = "/ws") -> Browser:
        return await browse(self.port, path, origin=origin, host="console.example.com")

    async def enter(self, person: Any = VIEWER) -> Browser:
        browser = await self.browse()
        browser.say({"ticket": await self.tickets.issue(person)})
        await browser.told("ready")
        return browser


@asynccontextmanager
async def hub() -> AsyncIterator[Hub]:
    clock = Clock()
    clock.advance(1_700_000_000)
    people = People()
    tickets = HubTickets(standing=people.standing, clock=clock)
    events = Events(now=wall(clock))
    sockets: list[LiveSocket] = []

    def live() -> LiveSocket:
        sockets.append(
            LiveSocket(clock=clock, origins=frozenset({ORIGIN}), tickets=tickets, events=events)
        )
        return sockets[-1]

    root = Resource()
    root.putChild(b"ws", HubResource(reactor=reactor, origins=[ORIGIN], live=live, terminal=live))
    port = reactor.listenTCP(0, Site(root, reactor=reactor), interface="127.0.0.1")
    try:
        yield Hub(clock, people, tickets, events, port.getHost().port, sockets)
    finally:
        for socket in sockets:
            if socket.transport is not None and socket.transport.connected:
                socket.transport.abortConnection()
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_ticket_opens_the_hub_and_events_flow() -> None:
    async with hub() as it:
        browser = await it.browse()
        browser.say({"ticket": await it.tickets.issue(VIEWER)})
        ready = await browser.told("ready")
        assert ready["user"] == {"id": VIEWER.user_id, "username": "vera", "role": "viewer"}
        browser.say({"op": "sub", "topic": "devices"})
        browser.say({"op": "sub", "topic": "nonsense"})
        assert (await browser.told("error"))["topic"] == "nonsense"
        it.events.publish("devices", "device.updated", {"id": "x", "status": "online"})
        event = await browser.told("device.updated")
        assert event["data"] == {"id": "x", "status": "online"}
        browser.say({"op": "sub", "topic": DEVICE, "since": 3})
        assert (await browser.told("resync"))["topic"] == DEVICE
        browser.sendClose(1000)
        assert await browser.ended() == 1000


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://console.example.com",
        "http://console.example.com:8443",
        "https://console.example.com:8443.evil.example",
        "https://device.apps.example.com:8443",
        "null",
    ],
)
@pytest_twisted.ensureDeferred
async def test_pages_of_other_origins_are_refused(origin: str) -> None:
    async with hub() as it:
        with pytest.raises(ConnectionRefusedError, match="40"):
            await it.browse(origin)


@pytest_twisted.ensureDeferred
async def test_a_ticket_is_good_once_and_for_thirty_seconds() -> None:
    async with hub() as it:
        ticket = await it.tickets.issue(VIEWER)
        first, second, third = [await it.browse() for _ in range(3)]
        first.say({"ticket": ticket})
        await first.told("ready")
        second.say({"ticket": ticket})
        assert await second.ended() == 4401
        late = await it.tickets.issue(VIEWER)
        it.clock.advance(TICKET_WAIT_S - 1)
        third.say({"ticket": late})
        await third.told("ready")
        expired = await it.tickets.issue(VIEWER)
        it.clock.advance(30)
        fourth = await it.browse()
        fourth.say({"ticket": expired})
        assert (await fourth.told("error"))["code"] == "ticket_invalid"


@pytest_twisted.ensureDeferred
async def test_without_a_ticket_the_socket_closes_after_five_seconds() -> None:
    async with hub() as it:
        browser = await it.browse()
        await Deferred.fromCoroutine(_turns())
        it.clock.advance(TICKET_WAIT_S)
        assert await browser.ended() == 4401


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"not json", 4400),
        (b"[]", 4400),
        (b"{}", 4401),
        (b'{"ticket": 3}', 4401),
        (b'{"ticket": "unknown"}', 4401),
        (b"[" * 100_000, 4400),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_bad_first_message_ends_it(message: bytes, code: int) -> None:
    async with hub() as it:
        browser = await it.browse()
        browser.sendMessage(message)
        assert await browser.ended() == code


@pytest_twisted.ensureDeferred
async def test_a_message_over_a_mebibyte_ends_it() -> None:
    async with hub() as it:
        browser = await it.enter()
        browser.sendMessage(b"x" * (MESSAGE_BYTES + 1), fragmentSize=65536)
        assert await browser.ended() == 1009


@pytest_twisted.ensureDeferred
async def test_signing_out_ends_it_and_losing_a_role_is_noticed() -> None:
    async with hub() as it:
        vera, ada = await it.enter(VIEWER), await it.enter(ADMIN)
        it.people.now[ADMIN.user_id] = replace(ADMIN, role=Role.VIEWER)
        it.people.sign_out(VIEWER)
        it.clock.advance(RECHECK_S)
        assert await vera.ended() == 4401
        assert (await vera.told("error"))["code"] == "session_expired"
        ada.say({"op": "sub", "topic": "devices"})
        it.events.publish("devices", "device.updated", {"id": "x"})
        it.clock.advance(1)
        assert not ada.has_ended


@pytest_twisted.ensureDeferred
async def test_who_is_let_in_hears_a_sign_of_life_every_two_seconds() -> None:
    async with hub() as it:
        browser = await it.enter()
        for beats in range(1, 4):
            it.clock.advance(BEAT_S)
            told = ["ready", *["beat"] * beats]
            await browser.until(lambda told=told: [m["type"] for m in browser.messages] == told)
        browser.sendClose()
        await browser.ended()
        assert not it.sockets[0]._beats.running


@pytest_twisted.ensureDeferred
async def test_a_browser_that_does_not_read_is_told_to_start_afresh() -> None:
    async with hub() as it:
        browser = await it.enter()
        browser.say({"op": "sub", "topic": "devices"})
        browser.say({"op": "sub", "topic": "nonsense"})
        await browser.told("error")
        browser.transport.pauseProducing()
        (socket,) = it.sockets
        number = 0
        while not socket._feed._paused:
            assert number < 100_000, "the socket was never full"
            it.events.publish("devices", "device.updated", {"id": str(number), "x": "y" * 4000})
            it.clock.advance(0.5)
            number += 1
            if number % 20 == 0:
                await _turns()
        for more in range(2000):
            it.events.publish("devices", "device.updated", {"id": f"more {more}"})
        told = len(browser.messages)
        browser.transport.resumeProducing()
        await browser.told("resync")
        assert len(browser.messages) > told
        ids = [m["data"]["id"] for m in browser.messages if m.get("type") == "device.updated"]
        assert "more 5" not in ids


@pytest_twisted.ensureDeferred
async def test_other_paths_and_plain_requests_are_answered_without_a_version() -> None:
    async with hub() as it:
        for path, status in ((b"/ws/other", b"404"), (b"/ws", b"426"), (b"/ws/term", b"426")):
            answer = await _get(it.port, path)
            assert answer.split(b" ")[1] == status
            assert b"autobahn" not in answer.lower()


@pytest.mark.parametrize("payload", [b"", b"\xff", b"3", b'"a"'])
def test_what_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(EdgetainerError):
        parse_message(payload, False)
    with pytest.raises(EdgetainerError):
        parse_message(b"{}", True)


class _Collect(Protocol):
    def __init__(self) -> None:
        self.data = b""
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: object = None) -> None:
        self.done.callback(self.data)


async def _get(port: int, path: bytes) -> bytes:
    factory = Factory.forProtocol(_Collect)
    factory.noisy = False
    client = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
    client.transport.write(
        b"GET " + path + b" HTTP/1.1\r\nHost: console.example.com\r\nConnection: close\r\n\r\n"
    )
    return await client.done.addTimeout(20, reactor)


async def _turns(count: int = 5) -> None:
    """Let the reactor deliver what is under way."""
    for _ in range(count):
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.01, turn.callback, None)
        await turn


@pytest_twisted.ensureDeferred
async def test_who_does_not_read_is_not_listened_to() -> None:
    async with hub() as it:
        browser = await it.enter()
        socket = it.sockets[-1]
        socket.pauseProducing()
        browser.say({"op": "sub", "topic": "nonsense"})
        await deferLater(reactor, 0.1)
        assert [message["type"] for message in browser.messages] == ["ready"]
        socket.resumeProducing()
        assert (await browser.told("error"))["topic"] == "nonsense"
