"""Whoever changes something, or reaches into a device, is written down."""

from __future__ import annotations

from typing import Any

from edgetainer.storage import audit
from tests.databases import result
from tests.services.home import PASSWORD, device_key
from tests.services.test_authority import request_pem
from tests.services.world import PAGE

# Routes that change nothing which lasts: devices about themselves, tokens that
# go on, tickets for what is written down when it begins.
UNWRITTEN = {
    "POST /api/agent/heartbeat",
    "POST /api/agent/status",
    "POST /api/auth/refresh",
    "POST /api/hub/ticket",
    "POST /api/terminals",
    "POST /api/visits",
}

# It takes a device that is connected: tests/api/test_insight.py.
ELSEWHERE = {"POST /api/devices/:device_id/qlog"}


class Journey:
    """Asks, and keeps which route wrote down what."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._seen = 0
        self.written: dict[str, list[str]] = {}
        for who in ("admin", "viewer"):
            api.token(who)
        self.news()

    def news(self) -> list[audit.Entry]:
        entries = result(self._api.home.database.read(lambda c: audit.latest(c, limit=1000)))
        new = [entry for entry in entries if entry.id > self._seen]
        self._seen = entries[0].id
        return new[::-1]

    def ask(self, method: str, path: str, body: Any = None, *, status: int, **ids: str) -> Any:
        """Ask for a route with these ids in its path."""
        filled = path
        for name, value in ids.items():
            filled = filled.replace(f":{name}", value)
        answer = self._api.ask(method, filled, body, who=None if "/auth/l" in path else "admin")
        assert answer.status == status, (method, filled, answer.body)
        new = self.news()
        self.written.setdefault(f"{method} {path}", []).extend(entry.action for entry in new)
        for entry in new:
            assert PASSWORD not in str(entry)
        return answer.body


def test_every_route_that_changes_something_writes_it_down(api):
    go = Journey(api)
    signed = {"username": "viewer", "password": PASSWORD}
    go.ask("POST", "/api/auth/login", {**signed, "password": "wrong"}, status=401)
    assert go.written["POST /api/auth/login"] == ["auth.login_refused"]
    go.ask("POST", "/api/auth/login", signed, status=200)

    person = {"email": "eve@x.test", "password": "another fine password"}
    user = go.ask("POST", "/api/users", {"username": "eve", "role": "viewer", **person}, status=201)
    go.ask("PUT", "/api/users/:user_id", {"role": "operator"}, status=200, user_id=user["id"])
    go.ask("DELETE", "/api/users/:user_id", status=204, user_id=user["id"])

    fleet = go.ask("POST", "/api/fleets", {"name": "kiosks"}, status=201)["id"]
    go.ask("PUT", "/api/fleets/:fleet_id", {"name": "halls"}, status=200, fleet_id=fleet)

    token = go.ask("POST", "/api/provision/tokens", {}, status=201)
    csr = request_pem(device_key())
    hello = {"token": token["token"], "csr": csr, "hostname": "kiosk-1"}
    go.ask("POST", "/api/provision/register", hello, status=200)
    go.ask("DELETE", "/api/provision/tokens/:token_id", status=204, token_id=token["id"])

    device = go.ask("POST", "/api/devices", {"device_id": "k2"}, status=201)["id"]
    one = "/api/devices/:device_id"
    go.ask("PUT", one, {"name": "hall 2"}, status=200, device_id=device)
    go.ask("POST", f"{one}/move", {"fleet_id": fleet}, status=200, device_id=device)
    # The device is not there; that it was tried is written down all the same.
    go.ask("POST", f"{one}/command", {"argv": ["reboot"]}, status=503, device_id=device)

    door = {"name": "web", "container_name": "web", "internal_port": 80}
    its = f"{one}/exposed-services"
    ids = {"device_id": device}
    ids["service_id"] = go.ask("POST", its, door, status=201, device_id=device)["id"]
    go.ask("PUT", f"{its}/:service_id", {"internal_port": 81}, status=200, **ids)
    go.ask("POST", f"{its}/:service_id/disable", status=200, **ids)
    go.ask("POST", f"{its}/:service_id/enable", status=200, **ids)
    go.ask("DELETE", f"{its}/:service_id", status=204, **ids)

    upload = {"name": "Page", "compose": PAGE}
    software = go.ask("POST", "/api/software/upload", upload, status=201)["id"]
    deploy = "/api/software/:software_id/deploy"
    made = go.ask("POST", deploy, {"fleet_id": fleet}, status=201, software_id=software)
    gone = {"deployment_id": made["id"]}
    go.ask("DELETE", "/api/deployments/:deployment_id", status=204, **gone)
    go.ask("DELETE", "/api/software/:software_id", status=204, software_id=software)

    go.ask("POST", f"{one}/revoke", status=204, device_id=device)
    go.ask("DELETE", one, status=204, device_id=device)
    go.ask("DELETE", "/api/fleets/:fleet_id", status=204, fleet_id=fleet)

    api.ask("POST", "/api/auth/logout", who="viewer")
    go.written["POST /api/auth/logout"] = [entry.action for entry in go.news()]

    assert [route for route, written in go.written.items() if not written] == []
    changing = {
        f"{route.method} {route.path}".replace("<uuid:", ":").replace(">", "")
        for route in api.routes.by_endpoint.values()
        if route.method != "GET"
    }
    assert changing - set(go.written) == UNWRITTEN | ELSEWHERE
