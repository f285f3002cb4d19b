"""The tunnel's place on the HTTPS site, for devices whose network blocks UDP."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.resource import WebSocketResource
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Request

from edgetainer.tunnel.limits import SESSION_PATH
from edgetainer.tunnel.listener import TunnelListener

ROOT, VERSION = SESSION_PATH.encode().strip(b"/").split(b"/")
"""First segment of the path, by which the site finds this; and what follows it."""


class WebSocketEntry(Resource):
    """`/tunnel/v1` by HTTPS: a WebSocket whose messages are QUIC datagrams.

    :param listener: takes them, from when it was started.
    """

    isLeaf = True

    def __init__(self, listener: TunnelListener) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._listener = listener

    def render(self, request: Request) -> Any:
        """Take the connection over if it asks for a WebSocket here."""
        door = self._listener.websockets
        if door is None or request.postpath != [VERSION]:
            return notFound().render(request)  # type: ignore[no-untyped-call]
        return WebSocketResource(door).render(request)
