"""The API of workloads as a program outside sees it, in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from treq.testing import StubTreq
from twisted.web.resource import Resource

from edgetainer.api import agent, commands, containers, deployments, exposed_services, software
from edgetainer.api.route import Routes
from edgetainer.api.site import Gate
from edgetainer.domain.access import DeviceIdentity, Principal
from edgetainer.errors import EdgetainerError
from edgetainer.services.commands import Commands
from edgetainer.services.containers import Containers
from tests.databases import result
from tests.services.channels import Channels
from tests.services.world import World


@dataclass(frozen=True)
class Answer:
    """What came back; `body` is decoded where it is JSON."""

    status: int
    body: Any
    etag: str | None


class Tunnelled(Resource):
    """Puts a device's identity where its tunnel connection has it."""

    def __init__(self, inner: Gate, identity: DeviceIdentity | None) -> None:
        super().__init__()
        self._inner = inner
        self._identity = identity

    def getChildWithDefault(self, path: bytes, request: Any) -> Any:
        if self._identity is not None:
            request.channel.connection = SimpleNamespace(identity=self._identity)
        return self._inner.getChildWithDefault(path, request)


class Console:
    """The routes on `world`'s services. A person's bearer token is the role's name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.channels = Channels()
        self.routes = Routes(authenticate=self._authenticate)
        software.add_routes(self.routes, catalogue=world.catalogue, deployments=world.deployments)
        deployments.add_routes(self.routes, deployments=world.deployments)
        exposed_services.add_routes(self.routes, exposures=world.exposures)
        containers.add_routes(self.routes, containers=Containers(database=world.database))
        agent.add_routes(self.routes, agents=world.agents)
        runner = Commands(
            database=world.database, devices=self.channels, reactor=world.clock, now=world.now
        )
        commands.add_routes(self.routes, commands=runner)
        self._gate = Gate(self.routes, authorities=None)

    async def _authenticate(self, token: str) -> Principal:
        people = {p.username: p for p in (self.world.admin, self.world.operator, self.world.viewer)}
        if token not in people:
            raise EdgetainerError("session_expired")
        return people[token]

    def send(
        self, method: str, path: str, body: Any = None, *, who: str = "operator"
    ) -> Callable[[], Answer]:
        """Ask as a person; call what is returned once there is an answer to read."""
        headers = {"Authorization": f"Bearer {who}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        stub = StubTreq(Tunnelled(self._gate, None))
        waiting = stub.request(method, f"https://console.test{path}", headers=headers, data=data)

        def finish() -> Answer:
            stub.flush()
            return read(result(waiting))

        return finish

    def ask(self, method: str, path: str, body: Any = None, *, who: str = "operator") -> Answer:
        """Ask as a person and read the answer."""
        return self.send(method, path, body, who=who)()

    def tell(
        self,
        device: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        etag: str | None = None,
    ) -> Answer:
        """Ask as a device over its tunnel; None: over no tunnel."""
        identity = DeviceIdentity(device, "ff" * 32) if device else None
        headers = {"If-None-Match": etag} if etag else {}
        data = None if body is None else json.dumps(body).encode()
        response = StubTreq(Tunnelled(self._gate, identity)).request(
            method, f"https://tunnel.test{path}", headers=headers, data=data
        )
        return read(result(response))


def read(response: Any) -> Answer:
    """A treq response, whole."""
    raw = result(response.content())
    kind = response.headers.getRawHeaders("content-type", [""])[0]
    etag = response.headers.getRawHeaders("etag", [None])[0]
    return Answer(response.code, json.loads(raw) if "json" in kind and raw else raw, etag)
