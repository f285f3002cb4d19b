from __future__ import annotations

from uuid import uuid4

WEB = {
    "id": "c0ffee",
    "name": "page-web-1",
    "stack": "page",
    "service": "web",
    "image": "page:1",
    "state": "running",
    "status": "Up 2 minutes",
    "health": None,
    "exit_code": None,
    "started_at": "2026-01-02T03:04:05Z",
    "ports": [{"container_port": 80, "protocol": "tcp"}],
}


def test_the_list_as_the_device_told_it(console):
    device = console.world.device()
    path = f"/api/devices/{device}/containers"
    nothing = {"items": [], "next": None, "total": 0, "reported_at": None}
    assert console.ask("GET", path, who="viewer").body == nothing
    # A newer agent may say more than this version knows.
    told = {**WEB, "uptime": 3, "ports": [{**WEB["ports"][0], "host": 1}]}
    assert console.tell(device, "POST", "/api/agent/status", {"containers": [told]}).status == 200
    answer = console.ask("GET", path, who="viewer").body
    assert (answer["items"], answer["total"]) == ([WEB], 1)
    assert answer["reported_at"].endswith("Z")


def test_an_unknown_device_is_not_found(console):
    assert console.ask("GET", f"/api/devices/{uuid4()}/containers").status == 404
