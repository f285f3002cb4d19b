"""People and sockets for the hub's tests."""

from __future__ import annotations

import json
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint

from edgetainer.domain.access import Principal, Role
from edgetainer.errors import EdgetainerError

ADMIN = Principal("a0000000-0000-4000-8000-000000000001", "ada", Role.ADMIN, "s1")
OPERATOR = Principal("a0000000-0000-4000-8000-000000000002", "otto", Role.OPERATOR, "s2")
VIEWER = Principal("a0000000-0000-4000-8000-000000000003", "vera", Role.VIEWER, "s3")


class People:
    """Who is signed in; `standing` as the services ask for it."""

    def __init__(self) -> None:
        self.now = {person.user_id: person for person in (ADMIN, OPERATOR, VIEWER)}
        self.asked = 0

    def sign_out(self, person: Principal) -> None:
        del self.now[person.user_id]

    async def standing(self, principal: Principal) -> Principal:
        self.asked += 1
        if principal.user_id not in self.now:
            raise EdgetainerError("session_expired")
        return self.now[principal.user_id]


class Browser(WebSocketClientProtocol):
    """A client that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Any] = []
        self.closed: int | None = None
        self.reason: str | None = None
        self.has_opened = self.has_ended = False
        self._waits: list[tuple[Any, Deferred[None]]] = []

    def onOpen(self) -> None:
        self.has_opened = True
        self._look()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.messages.append(payload if isBinary else json.loads(payload))
        self._look()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.closed, self.reason, self.has_ended = code, reason, True
        self._look()

    def say(self, message: dict[str, Any]) -> None:
        self.sendMessage(json.dumps(message).encode())

    def until(self, condition: Any) -> Deferred[None]:
        """Fires once the condition holds; looked at after each message and at the end."""
        result: Deferred[None] = Deferred()
        self._waits.append((condition, result))
        self._look()
        return result.addTimeout(10, reactor)

    async def told(self, kind: str) -> dict[str, Any]:
        """The first message of this type, once it has come."""

        def found() -> list[Any]:
            return [m for m in self.messages if isinstance(m, dict) and m.get("type") == kind]

        await self.until(found)
        return found()[0]

    async def ended(self) -> int | None:
        """The close code, once the connection has ended."""
        await self.until(lambda: self.has_ended)
        return self.closed

    def _look(self) -> None:
        for wait in [wait for wait in self._waits if wait[0]()]:
            self._waits.remove(wait)
            wait[1].callback(None)


async def browse(port: int, path: str, *, origin: str | None, host: str) -> Browser:
    """Connect a browser over plain TCP on loopback; raises when the handshake is refused."""
    factory = WebSocketClientFactory(f"ws://{host}{path}", origin=origin, reactor=reactor)
    factory.protocol = Browser
    # The default closes only a second after the server has.
    factory.setProtocolOptions(openHandshakeTimeout=5, closeHandshakeTimeout=1)
    browser = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
    await browser.until(lambda: browser.has_opened or browser.has_ended)
    if not browser.has_opened:
        raise ConnectionRefusedError(browser.reason)
    return browser
