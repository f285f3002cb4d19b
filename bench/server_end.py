"""The server's end of our stack: a process made of the product's tunnel code.

The tunnel's listener and the switchboard are the product's. Two local TCP ports
lead to the device as the forwarded ports of `ssh -R` do: one to its service, by a
TCP Channel; one to a terminal, by a terminal Channel.

    python -m bench.server_end STATE
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from bench import credentials, places
from bench.reactor import install, say
from edgetainer.quic.certificates import verify_client_chain
from edgetainer.quic.endpoint import ServerTls
from edgetainer.storage import files
from edgetainer.switchboard import Switchboard
from edgetainer.tunnel.channel import FrameProtocol
from edgetainer.tunnel.limits import KEEPALIVE
from edgetainer.tunnel.listener import TunnelListener
from edgetainer.tunnel.messages import FrameType, Target, TcpTarget, TerminalTarget
from edgetainer.tunnel.session import Session
from edgetainer.tunnel.splice import splice

#: Every byte comes back as it is, and at once, after the greeting: before it, the
#: terminal itself would answer.
ECHO = ("/bin/sh", "-c", f"stty raw -echo; printf {places.GREETING}; exec cat")


@dataclass(frozen=True)
class DeviceIdentity:
    """What the handshake found out about a device."""

    device_id: str


class Screen(FrameProtocol):
    """A terminal Channel for a local TCP connection: the frames' bytes both ways."""

    transport: Any

    def __init__(self, window: IProtocol) -> None:
        self._window: Any = window

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.DATA:
            self._window.dataReceived(payload)

    def connectionMade(self) -> None:
        self._window.makeConnection(_Keyboard(self))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._window.connectionLost(reason)


class _Keyboard:
    """The Channel's transport as the half of a splice sees it: bytes become frames."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def write(self, data: bytes) -> None:
        self._screen.send_frame(FrameType.DATA, data)

    def loseWriteConnection(self) -> None:
        self._screen.transport.loseConnection()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._screen.transport, name)


@implementer(IHalfCloseableProtocol)
class Visit(Protocol):
    """A connection to a local port, until it is joined with its Channel."""

    transport: Any

    def __init__(self, open_channel: Callable[[IProtocol], Any]) -> None:
        self._open = open_channel

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.pauseProducing()
        visitor_side, channel_side = splice()
        self._half: Any = visitor_side
        self._half.makeConnection(self.transport)
        self._open(channel_side).addErrback(self._refused)

    def dataReceived(self, data: bytes) -> None:
        self._half.dataReceived(data)

    def readConnectionLost(self) -> None:
        self._half.readConnectionLost()

    def writeConnectionLost(self) -> None:
        self._half.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._half.connectionLost(reason)

    def _refused(self, failure: Failure) -> None:
        self.transport.abortConnection()


def main(arguments: list[str]) -> None:
    """Serve until a signal."""
    reactor = install()
    authority = credentials.authority(Path(arguments[0]))
    switchboard = Switchboard(reactor=reactor)

    def verify(chain: Sequence[x509.Certificate]) -> DeviceIdentity:
        leaf = verify_client_chain(chain, [authority.certificate], credentials.now())
        name = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return DeviceIdentity(str(name))

    def greet(session: Session) -> Mapping[str, Any]:
        switchboard.add(session)
        say(session=session.peer)
        return {"heartbeat_s": 60.0, "keepalive_s": KEEPALIVE}

    listener = TunnelListener(
        reactor=reactor,
        interface=places.SERVER,
        port=places.TUNNEL_PORT,
        tls=ServerTls(
            certificate_chain=authority.tunnel.certificate_chain,
            private_key=authority.tunnel.private_key,
            verify_client=verify,
        ),
        site=None,
        on_session=greet,
        # Kept, as a server keeps it: devices know by it that a killed one is back.
        static_key=files.secret(Path(arguments[0]) / "quic-static"),
    )

    def reach(target: Target, wrap: Callable[[Any], Any]) -> Factory:
        endpoint = switchboard.endpoint(credentials.DEVICE_ID, target)

        def connect(side: IProtocol) -> Any:
            return endpoint.connect(Factory.forProtocol(lambda: wrap(side)))

        return Factory.forProtocol(lambda: Visit(connect))

    doors = {
        places.BULK_DOOR: reach(TcpTarget("service", places.BULK_PORT), lambda side: side),
        places.ECHO_DOOR: reach(TerminalTarget(None, 80, 24, command=ECHO), Screen),
    }

    def start() -> None:
        listener.start()
        for port, factory in doors.items():
            reactor.listenTCP(port, factory, interface="127.0.0.1")
        say(listening=True)

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", listener.close)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
