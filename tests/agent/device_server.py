"""A real server for one device: enrolment, tunnel and the device-facing API."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from cryptography.x509.oid import NameOID
from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource
from twisted.web.server import Site

from edgetainer.quic.certificates import verify_client_chain
from edgetainer.quic.endpoint import ServerTls
from edgetainer.switchboard import Switchboard
from edgetainer.tunnel.channel import FrameProtocol
from edgetainer.tunnel.listener import TunnelListener
from edgetainer.tunnel.messages import Exit, FrameType, Target
from tests.agent.enrolment_server import EnrolmentServer
from tests.world import Who


class DeviceServer:
    """What the product's server is to one device, with its answers in plain sight.

    :ivar answers: the JSON of the GET endpoints, by name.
    :ivar posted: what was posted, by endpoint.
    :ivar status: answered to posts; anything but 200 is a fault on demand.
    :ivar unchanged: how often "not modified" was enough.
    """

    def __init__(self, reactor: Any, device_id: str) -> None:
        self._reactor = reactor
        self.device_id = device_id
        self.enrolment = EnrolmentServer()
        self.enrolment.device_id = device_id
        self.switchboard = Switchboard(reactor=reactor)
        self.answers: dict[str, dict[str, Any]] = {
            "config": {"revision": 0, "heartbeat_s": 60, "doors": []},
            "software": {"revision": 0, "stacks": []},
        }
        self.posted: dict[str, list[dict[str, Any]]] = {"heartbeat": [], "status": []}
        self.status = 200
        self.unchanged = 0
        self.asked: list[str] = []
        self._tunnel: TunnelListener | None = None
        self._port = 0

    async def start(self) -> None:
        await self.enrolment.start(self._reactor)
        await self.start_tunnel()

    async def start_tunnel(self) -> None:
        """Listen; again on the same port after `stop_tunnel`."""
        leaf = self.enrolment.authority.server("tunnel.edgetainer")
        root, api, agent = Resource(), Resource(), Resource()
        root.putChild(b"api", api)
        api.putChild(b"agent", agent)
        for name in ("config", "software"):
            agent.putChild(name.encode(), _Asked(self, name))
        for name in ("heartbeat", "status"):
            agent.putChild(name.encode(), _Told(self, name))
        self._tunnel = TunnelListener(
            reactor=self._reactor,
            interface="127.0.0.1",
            port=self._port,
            tls=ServerTls(leaf.certificate_pem, leaf.key_pem, self._verify),
            site=Site(root),
            on_session=self._admit,
        )
        self._tunnel.start()
        self._port = self._tunnel.address[1]
        self.enrolment.tunnel_address = f"127.0.0.1:{self._port}"

    async def stop_tunnel(self) -> None:
        if self._tunnel is not None:
            await self._tunnel.close()
            self._tunnel = None

    async def stop(self) -> None:
        await self.stop_tunnel()
        await self.enrolment.stop()

    @property
    def online(self) -> bool:
        return self.device_id in self.switchboard.online()

    def want(self, revision: int, *stacks: dict[str, Any], doors: Any = ()) -> None:
        """Another desired state, not yet rung."""
        doors = [{"service": service, "port": port} for service, port in doors]
        self.answers["config"] = {"revision": revision, "heartbeat_s": 60, "doors": doors}
        self.answers["software"] = {"revision": revision, "stacks": list(stacks)}

    def ring(self, revision: int) -> None:
        self.switchboard.ring(self.device_id, revision)

    async def open(self, target: Target, protocol: Protocol) -> Any:
        """Connect to a target on the device."""

        class Once(Factory):
            def buildProtocol(self, addr: object) -> Protocol:
                return protocol

        return await self.switchboard.endpoint(self.device_id, target).connect(Once())

    def _verify(self, chain: list[Any]) -> Who:
        authority = self.enrolment.authority.certificate
        leaf = verify_client_chain(chain, [authority], datetime.now(UTC))
        return Who(str(leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value))

    def _admit(self, session: Any) -> dict[str, Any]:
        self.switchboard.add(session)
        revision = self.answers["software"]["revision"]
        return {"revision": revision, "heartbeat_s": 60, "keepalive_s": 10}


class Screen(FrameProtocol):
    """The server's end of a terminal or command."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.errors = bytearray()
        self.exit: Exit | None = None

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.DATA:
            self.output += payload
        elif type is FrameType.STDERR:
            self.errors += payload
        elif type is FrameType.EXIT:
            self.exit = Exit.parse(payload)


class Lines(Protocol):
    """The server's end of a TCP channel."""

    def __init__(self) -> None:
        self.received = b""
        self.closed = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.closed = True


class _Asked(Resource):
    isLeaf = True

    def __init__(self, server: DeviceServer, name: str) -> None:
        super().__init__()
        self._server, self._name = server, name

    def render_GET(self, request: Any) -> bytes:
        self._server.asked.append(self._name)
        body = json.dumps(self._server.answers[self._name]).encode()
        if request.setETag(b'"%s"' % hashlib.sha256(body).hexdigest()[:16].encode()):
            self._server.unchanged += 1
            return b""
        request.setHeader(b"content-type", b"application/json")
        return body


class _Told(Resource):
    isLeaf = True

    def __init__(self, server: DeviceServer, name: str) -> None:
        super().__init__()
        self._server, self._name = server, name

    def render_POST(self, request: Any) -> bytes:
        request.setResponseCode(self._server.status)
        if self._server.status == 200:
            self._server.posted[self._name].append(json.load(request.content))
        return json.dumps({"revision": self._server.answers["software"]["revision"]}).encode()
