"""A server and its devices in memory: the real tunnel on one fake clock.

    world = World(seed=3, loss=0.02)
    device = world.device("dev-1", doors={"web": EchoProtocol})
    world.until(lambda: device.connected)

Only the sockets and the clock are not real; see `tests.network`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.web.server import Site

from edgetainer.errors import EdgetainerError
from edgetainer.quic.certificates import verify_client_chain
from edgetainer.switchboard import Switchboard
from edgetainer.tunnel.dialer import Dialer
from edgetainer.tunnel.listener import TunnelListener
from edgetainer.tunnel.messages import Target, TcpTarget
from edgetainer.tunnel.profiles import STANDARD, LinkProfile
from edgetainer.tunnel.session import Session
from tests.authority import Leaf
from tests.network import SERVER, MemoryCarrier, Network


@dataclass(frozen=True)
class Who:
    """A device identity as `verify_client` finds it in the certificate."""

    device_id: str


class Echo(Protocol):
    """Says back what it hears."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Listed:
    """Doors that open what is listed by service name."""

    def __init__(self, doors: Mapping[str, Callable[[], IProtocol]]) -> None:
        self.doors = dict(doors)
        self.asked: list[Target] = []

    async def open(self, target: Target) -> IProtocol:
        self.asked.append(target)
        if not isinstance(target, TcpTarget) or target.service not in self.doors:
            raise EdgetainerError("service_not_exposed", f"{target!r} is not exposed.")
        return self.doors[target.service]()


class Device:
    """One device: its dialer, its doors, and what it was told."""

    def __init__(
        self,
        world: World,
        device_id: str,
        *,
        leaf: Leaf | None = None,
        doors: Any = None,
        addresses: list[tuple[str, int]] | None = None,
        hello: dict[str, Any] | None = None,
        seed: int = 1,
        profile: LinkProfile = STANDARD,
    ) -> None:
        self.world = world
        self.device_id = device_id
        self.leaf = leaf or world.network.authority.client(device_id)
        self.doors = doors if hasattr(doors, "open") else Listed(doors or {})
        self.attempts: list[tuple[float, str]] = []
        self.log: list[tuple[float, str, Any]] = []
        self.rings: list[int] = []
        self.local_address: str | None = "198.51.100.1"
        self.dialer = Dialer(
            reactor=world.network.clock,
            addresses=addresses or [SERVER],
            tls=lambda: world.network.client_tls(self.leaf),
            doors=self.doors,
            hello=lambda: hello or {"agent_version": "1.0"},
            on_connected=lambda said: self._note("connected", said),
            on_disconnected=lambda error: self._note("disconnected", error.code),
            on_failure=lambda error: self._note("failed", error.code),
            on_doorbell=self.rings.append,
            random=random.Random(seed),
            profile=profile,
            connect=self._connect,
            resolve=world.resolve,
            local_address=lambda host, port: self.local_address,
        )

    def _connect(self, host: str, port: int, tls: Any, timeout: float) -> Any:
        self.attempts.append((self.world.now, host))
        return self.world.network.connect(tls=tls, timeout=timeout, address=(host, port))

    def move(self, host: str | None) -> None:
        """Have another address, or none, and hear it from the kernel a moment later."""
        self.local_address = host
        if host is not None:
            for carrier in self.carriers:
                carrier.move((host, carrier.address[1]))
        self.world.network.clock.callLater(0.1, self.dialer.network_changed)

    @property
    def carriers(self) -> list[MemoryCarrier]:
        """Its sockets."""
        server = {SERVER}
        carriers = self.world.network.carriers
        return [carrier for address, carrier in carriers.items() if address not in server]

    def _note(self, what: str, detail: Any) -> None:
        self.log.append((self.world.now, what, detail))

    def told(self, what: str) -> list[Any]:
        """The details of every event of this name."""
        return [detail for _, name, detail in self.log if name == what]

    @property
    def connected(self) -> bool:
        return self.dialer.connected


class World:
    """One server on one network.

    :param link: parameters of `Network`: seed, loss, delay, jitter.
    """

    def __init__(self, *, site: Site | None = None, **link: Any) -> None:
        self.network = Network(**link)
        self.names: dict[str, list[str]] = {}
        self.revoked: set[str] = set()
        self.refuse: EdgetainerError | Exception | None = None
        self.switchboard = Switchboard(reactor=self.network.clock)
        self.changes: list[tuple[str, bool]] = []
        self.switchboard.on_change.append(lambda who, online: self.changes.append((who, online)))
        self.listener = TunnelListener(
            reactor=self.network.clock,
            interface="192.0.2.1",
            port=8444,
            tls=self.network.server_tls(),
            site=None,
            on_session=self._admit,
        )
        self.server = self.serve(site)

    def serve(self, site: Site | None = None, address: tuple[str, int] = SERVER) -> Any:
        """Begin to answer at `address`."""
        return self.network.listen(
            tls=self.network.server_tls(verify_client=self.verify),
            site=site,
            on_connection=self.listener.connected,
            address=address,
            static_key=b"the key of this installation",
        )

    def kill_server(self) -> None:
        """As with SIGKILL: nobody is told. `serve` starts it again."""
        self.network.carriers[SERVER].close()

    def verify(self, chain: list[Any]) -> Who:
        authority = self.network.authority.certificate
        leaf = verify_client_chain(chain, [authority], datetime.now(UTC))
        device_id = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        if device_id in self.revoked:
            raise EdgetainerError("certificate_refused", "The key was revoked.")
        return Who(str(device_id))

    def _admit(self, session: Session) -> dict[str, Any]:
        if self.refuse is not None:
            raise self.refuse
        self.switchboard.add(session)
        return {"revision": 7, "heartbeat_s": 60, "keepalive_s": 10}

    def device(self, device_id: str = "dev-1", **options: Any) -> Device:
        """A device that begins to dial."""
        device = Device(self, device_id, **options)
        device.dialer.start()
        return device

    def online(self, device_id: str = "dev-1", **options: Any) -> Device:
        """A device that has connected."""
        device = self.device(device_id, **options)
        self.until(lambda: device.connected)
        return device

    def open(self, target: Target, protocol: Protocol, device_id: str = "dev-1") -> Deferred[Any]:
        """Connect `protocol` to a target on the device."""

        class Once(Factory):
            def buildProtocol(self, addr: object) -> Protocol:
                return protocol

        return self.switchboard.endpoint(device_id, target).connect(Once())

    def resolve(self, host: str) -> Deferred[list[str]]:
        if host[0].isdigit():
            return succeed([host])
        if host not in self.names:
            return fail(DNSLookupError(host))
        return succeed(self.names[host])

    @property
    def now(self) -> float:
        return self.network.clock.seconds()

    def run(self, waiting: Deferred[Any], timeout: float = 60.0) -> Any:
        return self.network.run(waiting, timeout)

    def until(self, done: Callable[[], bool], timeout: float = 60.0) -> None:
        self.network.until(done, timeout)

    def pass_time(self, seconds: float) -> None:
        self.network.pass_time(seconds)
