from __future__ import annotations

import pytest

from tests.databases import result

PATH = "/api/agent/heartbeat"
METRICS = {
    "cpu_percent": 3.5, "memory_used": 10, "memory_total": 20, "disk_used": 1, "disk_total": 2,
    "uptime_s": 5.0, "load1": 0.25,
}  # fmt: skip


def test_what_a_device_says_is_seen(api):
    id_ = api.home.device()
    said = {
        "metrics": METRICS, "os_version": "Flatcar", "agent_version": "1", "revision": 0,
        "hardware_info": {"cpus": 2}, "containers": [{"id": "1", "name": "web"}], "new": "field",
    }  # fmt: skip
    answer = api.tell("POST", PATH, said, device_id=id_)
    assert (answer.status, answer.body) == (200, {"revision": 0})
    result(api.home.presence.flush())
    device = api.ask("GET", f"/api/devices/{id_}").body
    assert (device["metrics"], device["os_version"]) == (METRICS, "Flatcar")
    containers = api.ask("GET", f"/api/devices/{id_}/containers").body["items"]
    assert [one["name"] for one in containers] == ["web"]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"metrics": {"cpu_percent": "much"}}, "metrics.cpu_percent"),
        ({"metrics": {"memory_used": -1}}, "metrics.memory_used"),
        ({"revision": 2**60}, "revision"),
        ({"hardware_info": {"x": "y" * 20_000}}, "hardware_info"),
        ({"os_version": "x" * 201}, "os_version"),
    ],
)
def test_bad_fields(api, said, field):
    answer = api.tell("POST", PATH, said, device_id=api.home.device())
    assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_field", field)


def test_a_device_that_was_deleted(api):
    id_ = api.home.device()
    api.ask("DELETE", f"/api/devices/{id_}")
    assert api.tell("POST", PATH, {}, device_id=id_).code == "not_found"
