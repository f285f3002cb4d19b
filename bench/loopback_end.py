"""One end of the loopback benchmark: a real listener or a real dialer in a process.

Started by `loopback.py`, which speaks to it in lines of JSON: a request on standard
input, its answer on standard output. The device's end opens every channel as a
source that never ends, or as one that is silent; the server's end counts.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from cryptography import x509

from bench.reactor import install

reactor = install()

from twisted.internet import protocol, stdio  # noqa: E402
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred  # noqa: E402
from twisted.protocols.basic import LineOnlyReceiver  # noqa: E402

from edgetainer.quic.certificates import verify_client_chain  # noqa: E402
from edgetainer.quic.endpoint import ClientTls, ServerTls  # noqa: E402
from edgetainer.tunnel.dialer import Dialer  # noqa: E402
from edgetainer.tunnel.listener import TunnelListener  # noqa: E402
from edgetainer.tunnel.session import Session  # noqa: E402
from edgetainer.tunnel.splice import splice  # noqa: E402
from edgetainer.tunnel.targets import TcpTarget  # noqa: E402

PIECE = bytes(range(256)) * 256
"""What a source writes at once: 64 KiB, as a TCP connection on loopback reads."""


class Device:
    """What the listener wants to know of a certificate's owner."""

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id


class Source(protocol.Protocol):
    """Writes for ever, as fast as it is let: what is unsent never runs out."""

    def connectionMade(self) -> None:
        self._flowing = False
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """There is room: fill it."""
        self._flowing = True
        while self._flowing:
            self.transport.write(PIECE)

    def pauseProducing(self) -> None:
        """There is no more room."""
        self._flowing = False

    def stopProducing(self) -> None:
        """Nobody reads any more."""
        self._flowing = False


class Sink(protocol.Protocol):
    """Counts."""

    def __init__(self) -> None:
        self.received = 0

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)


class Process:
    """What both ends tell of themselves."""

    def usage(self) -> dict[str, Any]:
        """Seconds of CPU and, after a collection, bytes of memory."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {"cpu": used.ru_utime + used.ru_stime, "clock": reactor.seconds()}

    def memory(self) -> dict[str, Any]:
        """Bytes of resident memory, and how many sessions there are."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {"rss": pages * os.sysconf("SC_PAGE_SIZE")}


class Server(Process):
    """The listener's end."""

    def __init__(self, authority: str, certificate: str, key: str) -> None:
        trusted = x509.load_pem_x509_certificate(authority.encode())

        def verify(chain: list[x509.Certificate]) -> Device:
            leaf = verify_client_chain(chain, [trusted], datetime.now(UTC))
            return Device(leaf.subject.rfc4514_string())

        self.sessions: dict[str, Session] = {}
        self.sink = Sink()
        self.idle: list[protocol.Protocol] = []
        self.listener = TunnelListener(
            reactor=reactor,
            interface="127.0.0.1",
            port=0,
            tls=ServerTls(certificate.encode(), key.encode(), verify),
            site=None,
            on_session=self._session,
        )
        self.listener.start()

    def _session(self, session: Session) -> dict[str, Any]:
        self.sessions[session.device_id] = session
        return {"time": 0, "keepalive_s": 3600}

    def _open(self, service: str, made: protocol.Protocol) -> Deferred[Any]:
        session = next(iter(self.sessions.values()))
        factory = protocol.Factory.forProtocol(lambda: made)
        return session.endpoint(TcpTarget(service, 1)).connect(factory)

    def port(self) -> dict[str, Any]:
        """Where it listens."""
        return {"port": self.listener.address[1]}

    def count(self) -> dict[str, Any]:
        """Sessions and what the sink received."""
        carried = [session.connection.driver.quic for session in self.sessions.values()]
        return self.usage() | {
            "sessions": len(self.sessions),
            "received": self.sink.received,
            "packets_out": sum(quic._packet_number for quic in carried),
        }

    async def idle_channels(self, number: int) -> dict[str, Any]:
        """Open channels on which nothing happens."""
        while len(self.idle) < number:
            batch = [protocol.Protocol() for _ in range(min(50, number - len(self.idle)))]
            await DeferredList([self._open("idle", each) for each in batch], fireOnOneErrback=True)
            self.idle += batch
        return {"idle": len(self.idle)}

    async def bulk(self) -> dict[str, Any]:
        """Open the channel whose bytes are counted."""
        self.sink = Sink()
        await self._open("source", self.sink)
        return {}

    def hop(self) -> dict[str, Any]:
        """Listen on TCP, for a reader to whom a channel to the source is spliced."""

        class Visitor(protocol.Factory):
            def buildProtocol(_, addr: Any) -> protocol.Protocol:
                visitor, channel = splice()
                self._open("source", channel)
                return visitor

        return {"port": reactor.listenTCP(0, Visitor(), interface="127.0.0.1").getHost().port}


class Agent(Process):
    """The dialer's end: one process, any number of devices."""

    def __init__(
        self, authority: str, port: int, devices: list[list[str]], hop: int | None
    ) -> None:
        self.hop = hop
        self.dialers = [
            Dialer(
                reactor=reactor,
                addresses=[("127.0.0.1", port)],
                tls=lambda leaf=leaf: ClientTls(
                    authority.encode(), "server.test", leaf[0].encode(), leaf[1].encode()
                ),
                doors=self,
                hello=dict,
                on_connected=lambda hello: None,
                on_disconnected=lambda error: None,
                on_doorbell=lambda revision: None,
                random=Random(1),
            )
            for leaf in devices
        ]

    async def connect(self) -> dict[str, Any]:
        """Dial with all devices, a few at a time."""
        started = 0
        while not all(dialer.connected for dialer in self.dialers):
            under_way = sum(not dialer.connected for dialer in self.dialers[:started])
            for dialer in self.dialers[started : started + 16 - under_way]:
                dialer.start()
                started += 1
            await _pause(0.01)
        return {}

    async def open(self, target: TcpTarget) -> protocol.Protocol:
        """A door for the server's channel."""
        if target.service == "idle":
            return protocol.Protocol()
        if self.hop is None:
            return Source()
        channel, local = splice()
        reactor.connectTCP("127.0.0.1", self.hop, _Once(local))
        return channel

    def count(self) -> dict[str, Any]:
        """Seconds of CPU, and packets sent."""
        carried = [dialer._link._connection.driver.quic for dialer in self.dialers if dialer._link]
        return self.usage() | {"packets_out": sum(quic._packet_number for quic in carried)}


class Feeder(Process):
    """A TCP server that sends for ever: what a service on a device is."""

    def __init__(self) -> None:
        factory = protocol.Factory.forProtocol(Source)
        self._listening = reactor.listenTCP(0, factory, interface="127.0.0.1")

    def port(self) -> dict[str, Any]:
        """Where it listens."""
        return {"port": self._listening.getHost().port}


class _Once(protocol.ClientFactory):
    def __init__(self, made: protocol.Protocol) -> None:
        self._made = made

    def buildProtocol(self, addr: Any) -> protocol.Protocol:
        return self._made


class Orders(LineOnlyReceiver):
    """Requests on standard input, answered in order."""

    delimiter = b"\n"
    MAX_LENGTH = 16 * 1024 * 1024

    def __init__(self) -> None:
        self._end: Any = None

    def lineReceived(self, line: bytes) -> None:
        ensureDeferred(self._obey(json.loads(line))).addErrback(self._failed)

    async def _obey(self, order: dict[str, Any]) -> None:
        do, arguments = order["do"], order.get("with", {})
        if do in ENDS:
            self._end = ENDS[do](**arguments)
            answer: Any = {}
        else:
            answer = getattr(self._end, do)(**arguments)
            if hasattr(answer, "__await__"):
                answer = await answer
        self.sendLine(json.dumps(answer).encode())

    def _failed(self, failure: Any) -> None:
        failure.printTraceback(sys.stderr)
        reactor.stop()

    def connectionLost(self, reason: Any = None) -> None:
        if reactor.running:
            reactor.stop()


ENDS = {"server": Server, "agent": Agent, "feeder": Feeder}


def _pause(seconds: float) -> Deferred[None]:
    done: Deferred[None] = Deferred()
    reactor.callLater(seconds, done.callback, None)
    return done


def main() -> None:
    """Serve orders until standard input ends."""
    stdio.StandardIO(Orders())
    profile = os.environ.get("EDGETAINER_BENCH_PROFILE")
    if profile:
        import cProfile

        profiler = cProfile.Profile()
        profiler.runcall(reactor.run)
        profiler.dump_stats(f"{profile}.{os.getpid()}")
    else:
        reactor.run()


if __name__ == "__main__":
    main()
