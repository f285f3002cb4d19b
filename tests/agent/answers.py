"""A server's answers to the agent's requests, one by one as the test wants."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.quic.requests import Response


class Asked(NamedTuple):
    """A request under way."""

    method: str
    path: str
    json: Any
    headers: dict[bytes, bytes]
    answer: Deferred[Response]


class Answers:
    """Stands where `Dialer.request` does; requests wait here for their answers."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def request(
        self, method: str, path: str, *, json: Any = None, headers: Any = ()
    ) -> Deferred[Response]:
        answer: Deferred[Response] = Deferred(
            lambda waiting: waiting.errback(Failure(EdgetainerError("unavailable", "cancelled")))
        )
        self.asked.append(Asked(method, path, json, dict(headers), answer))
        return answer

    def take(self, path: str) -> Asked:
        """The only request under way, which must be for `path`."""
        (asked,) = self.asked
        assert asked.path == path
        self.asked.clear()
        return asked

    def give(
        self, path: str, document: Any = None, *, status: int = 200, etag: bytes = b""
    ) -> Asked:
        """Answer it."""
        asked = self.take(path)
        headers = ((b"etag", etag),) if etag else ()
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        asked.answer.callback(Response(status, headers, body))
        return asked
