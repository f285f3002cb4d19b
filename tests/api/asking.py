"""Ask a twisted.web resource through a real HTTP channel, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from h11 import CLIENT, Connection, Data, EndOfMessage, Request, Response
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.resource import IResource
from twisted.web.server import Site


@dataclass(frozen=True)
class Answer:
    """One answer as a client sees it; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(
    root: IResource,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    host: str = "localhost:8443",
) -> Answer:
    """What `root` answers to one request without a body."""
    request = Request(
        method=method, target=path, headers=[("Host", host), *(headers or {}).items()]
    )
    client = Connection(CLIENT)
    sent = client.send(request)
    assert sent is not None
    return _answer(client, exchange(root, sent + (client.send(EndOfMessage()) or b"")))


def exchange(root: IResource, sent: bytes) -> bytes:
    """The bytes that `root` answers to these bytes."""
    site = Site(root, reactor=Clock())
    channel = site.buildProtocol(None)
    transport = StringTransport()
    channel.makeConnection(transport)
    channel.dataReceived(sent)
    return transport.value()


def _answer(client: Connection, received: bytes) -> Answer:
    client.receive_data(received)
    response, body = None, b""
    while True:
        event = client.next_event()
        if isinstance(event, Response):
            response = event
        elif isinstance(event, Data):
            body += bytes(event.data)
        elif isinstance(event, EndOfMessage):
            break
        else:
            raise AssertionError(f"the answer is not whole: {event} in {received!r}")
    assert response is not None
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return Answer(response.status_code, headers, body)
