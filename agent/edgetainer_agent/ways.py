"""The ways to the tunnel's server: UDP, and its HTTPS port where UDP is blocked."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer.quic.carriers import Address, BatchDone
from edgetainer.quic.endpoint import ClientTls, client_carrier, connect
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.udp import UdpCarrier
from edgetainer.quic.websocket import ReceivedFrom
from edgetainer.quic.websocket_client import WebSocketCarrier, open_websocket
from edgetainer.tunnel.limits import SESSION_PATH
from edgetainer_agent.trust import https_policy

log = Logger()

HTTPS_PORT = 443


class ServerWays:
    """Sockets to one server; the `Ways` of a `Carriage`.

    :param server_url: the console's address, `https://host[:port]`.
    :param ca_file: PEM of whom to trust there; None is the system's list.
    """

    def __init__(self, reactor: Any, *, server_url: str, ca_file: Path | None) -> None:
        self._reactor = reactor
        self._server = urlsplit(server_url)
        self._ca_file = ca_file

    def dial(
        self, host: str, port: int, tls: ClientTls, timeout: float, rtt_guess: float = 0.0
    ) -> Deferred[Http3Connection]:
        """Connect over UDP; see `quic.endpoint.connect`."""
        return connect(
            self._reactor, host=host, port=port, tls=tls, timeout=timeout, rtt_guess=rtt_guess
        )

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
        """A new WebSocket for datagrams.

        Fails with `EdgetainerError` when `ca_file` is no use any more: a device that
        is enrolled does without it while UDP passes.
        """
        host, port = self._server.hostname or "", self._server.port or HTTPS_PORT
        try:
            # Read anew each time: the file may have been renewed.
            trust = https_policy(self._ca_file).creatorForNetloc(host.encode("idna"), port)
        except (EdgetainerError, UnicodeError) as error:
            log.warn("no WebSocket to {host}: {error}", host=host, error=error)
            return fail(error)
        return open_websocket(
            self._reactor,
            wrapClientTLS(trust, HostnameEndpoint(self._reactor, host, port)),
            f"wss://{self._server.netloc}{SESSION_PATH}",
            received=received,
            timeout=timeout,
        )
