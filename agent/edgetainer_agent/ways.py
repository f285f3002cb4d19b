"""The ways to the tunnel's server: UDP, and its HTTPS port where UDP is blocked."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS

from edgetainer.quic.carriers import Address, BatchDone
from edgetainer.quic.endpoint import ClientTls, client_carrier, connect
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.udp import UdpCarrier
from edgetainer.quic.websocket import ReceivedFrom
from edgetainer.quic.websocket_client import WebSocketCarrier, open_websocket
from edgetainer.tunnel.limits import SESSION_PATH
from edgetainer_agent.trust import https_policy

HTTPS_PORT = 443


class ServerWays:
    """Sockets to one server; the `Ways` of a `Carriage`.

    :param server_url: the console's address, `https://host[:port]`.
    :param ca_file: PEM of whom to trust there; None is the system's list.
    :raises EdgetainerError: `config_invalid` naming `ca_file`.
    """

    def __init__(self, reactor: Any, *, server_url: str, ca_file: Path | None) -> None:
        parts = urlsplit(server_url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
        self._reactor = reactor
        self._url = f"wss://{parts.netloc}{SESSION_PATH}"
        trust = https_policy(ca_file).creatorForNetloc(host.encode("idna"), port)
        self._endpoint = wrapClientTLS(trust, HostnameEndpoint(reactor, host, port))

    def dial(
        self, host: str, port: int, tls: ClientTls, timeout: float
    ) -> Deferred[Http3Connection]:
        """Connect over UDP."""
        return connect(self._reactor, host=host, port=port, tls=tls, timeout=timeout)

    def udp(
        self, received: ReceivedFrom, address: Address, batch_done: BatchDone = lambda: None
    ) -> UdpCarrier:
        """A new UDP socket that can reach `address`."""
        carrier = client_carrier(
            self._reactor,
            lambda data, sender: received(data, sender, carrier),
            address,
            batch_done,
        )
        return carrier

    def websocket(self, received: ReceivedFrom, timeout: float) -> Deferred[WebSocketCarrier]:
        """A new WebSocket for datagrams."""
        return open_websocket(
            self._reactor, self._endpoint, self._url, received=received, timeout=timeout
        )
