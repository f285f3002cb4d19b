"""The whole API on real services, asked as browsers, programs and devices do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from treq.testing import StubTreq
from twisted.web.resource import Resource

from edgetainer.api.app import Services, make_routes
from edgetainer.api.site import Gate, authority
from edgetainer.domain.access import DeviceIdentity
from edgetainer.services.agents import Agents
from edgetainer.services.commands import Commands
from edgetainer.services.containers import Containers
from edgetainer.services.deployments import Deployments
from edgetainer.services.exposures import Exposures
from edgetainer.services.hub import HubTickets
from edgetainer.services.insight import Insight
from edgetainer.services.software import Catalogue
from edgetainer.services.terminals import Terminals
from edgetainer.services.visits import Visits
from tests.databases import result
from tests.services.home import Home

ORIGIN = "https://console.test:8443"


class Answer:
    """What came back; `body` is decoded where it is JSON."""

    def __init__(self, response: Any) -> None:
        raw = result(response.content())
        self.status: int = response.code
        self.headers = response.headers
        kind = response.headers.getRawHeaders("content-type", [""])[0]
        self.kind: str = kind
        self.body: Any = json.loads(raw) if "json" in kind and raw else raw

    @property
    def code(self) -> str:
        """The code of a problem document."""
        assert self.kind == "application/problem+json", (self.status, self.body)
        assert self.body["status"] == self.status
        return self.body["code"]

    @property
    def cookies(self) -> list[str]:
        return self.headers.getRawHeaders("set-cookie", [])


class Installation:
    """The console of `home`, and its devices' side of the API."""

    def __init__(self, home: Home) -> None:
        self.home = home
        exposures = Exposures(
            database=home.database,
            bell=home.switchboard,
            events=home.events,
            now=home.now,
            apps_domain="apps.example.com",
            public_port=8443,
        )
        self.services = Services(
            authentication=home.authentication,
            database=home.database,
            agents=Agents(
                database=home.database,
                events=home.events,
                now=home.now,
                heartbeat_s=60,
                changed=home.presence.refresh,
            ),
            catalogue=Catalogue(database=home.database, now=home.now),
            commands=Commands(
                database=home.database,
                devices=home.switchboard,
                reactor=home.clock,
                now=home.now,
            ),
            containers=Containers(database=home.database),
            deployments=Deployments(
                database=home.database, bell=home.switchboard, events=home.events, now=home.now
            ),
            devices=home.devices,
            enrolment=home.enrolment,
            exposures=exposures,
            fleets=home.fleets,
            insight=Insight(
                database=home.database,
                switchboard=home.switchboard,
                devices=home.devices,
                clock=home.clock,
                now=home.now,
            ),
            hub=HubTickets(standing=home.authentication.still, clock=home.clock),
            presence=home.presence,
            terminals=Terminals(
                database=home.database,
                switchboard=home.switchboard,
                standing=home.authentication.still,
                check_device=home.devices.get,
                clock=home.clock,
                now=home.now,
            ),
            users=home.users,
            visits=Visits(
                exposures=exposures,
                standing=home.authentication.still,
                key=b"v" * 32,
                public_port=8443,
                clock=home.clock,
                now=home.now,
            ),
        )
        self.routes = make_routes(self.services, origins=[ORIGIN])
        self._gate = Gate(self.routes, authorities=[authority("console.test", 8443)])
        self._tunnel_gate = Gate(self.routes, authorities=None, prefix=b"/api/agent/")
        self._tokens: dict[str, str] = {}

    def token(self, name: str) -> str:
        """An access token of the user of this name."""
        if name not in self._tokens:
            self._tokens[name] = self.home.login(name).access_token
        return self._tokens[name]

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: str | None = "admin",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Ask as a person (None: as nobody)."""
        sent = dict(headers or {})
        if who is not None:
            sent.setdefault("Authorization", f"Bearer {self.token(who)}")
        data = raw if body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        stub = StubTreq(self._gate)
        return Answer(result(stub.request(method, f"{ORIGIN}{path}", headers=sent, data=data)))

    def tell(self, method: str, path: str, body: Any, *, device_id: str) -> Answer:
        """Ask as a device, over its tunnel."""
        stub = StubTreq(_Tunnelled(self._tunnel_gate, DeviceIdentity(device_id, "ff" * 32)))
        data = None if body is None else json.dumps(body).encode()
        return Answer(result(stub.request(method, f"https://tunnel.test{path}", data=data)))


class _Tunnelled(Resource):
    """Puts a device's identity where its connection has it."""

    def __init__(self, inner: Gate, identity: DeviceIdentity) -> None:
        super().__init__()
        self._inner = inner
        self._identity = identity

    def getChildWithDefault(self, path: bytes, request: Any) -> Any:
        request.channel.connection = SimpleNamespace(identity=self._identity)
        return self._inner.getChildWithDefault(path, request)
