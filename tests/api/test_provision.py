from __future__ import annotations

import pytest

from tests.services.home import device_key
from tests.services.test_authority import request_pem


def _register(api, text, key, **changes):
    body = {"token": text, "csr": request_pem(key), "hostname": "kiosk-7", **changes}
    return api.ask("POST", "/api/provision/register", body, who=None)


def test_from_token_to_device(api):
    created = api.ask("POST", "/api/provision/tokens", {"description": "for the lab"})
    assert created.status == 201
    assert set(created.body) == {
        "id", "token", "description", "fleet_id", "device_id", "uses", "uses_left",
        "expires_at", "created_at",
    }  # fmt: skip
    assert created.body["expires_at"] == "2026-11-23T13:00:00Z"
    (listed,) = api.ask("GET", "/api/provision/tokens").body["items"]
    assert "token" not in listed
    key = device_key()
    first = _register(api, created.body["token"], key, os_version="x", hardware_info={"a": [1]})
    assert first.status == 200
    assert set(first.body) == {"device_id", "certificate", "ca", "tunnel"}
    assert first.body["tunnel"] == {
        "addresses": ["console.test:8444"], "server_name": "tunnel.edgetainer"
    }  # fmt: skip
    assert _register(api, created.body["token"], key).body == first.body
    other = _register(api, created.body["token"], device_key())
    assert (other.status, other.code) == (409, "token_used")
    device = api.ask("GET", f"/api/devices/{first.body['device_id']}").body
    assert (device["name"], device["hardware_info"]) == ("kiosk-7", {"a": [1]})
    assert api.ask("DELETE", f"/api/provision/tokens/{listed['id']}").status == 204
    assert _register(api, created.body["token"], key).code == "token_unknown"


def test_an_expired_token(api):
    token = api.ask("POST", "/api/provision/tokens", {"expires_in_s": 1}).body["token"]
    api.home.clock.advance(1)
    answer = _register(api, token, device_key())
    assert (answer.status, answer.code) == (401, "token_expired")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"csr": "x"}, "csr_invalid", "csr"),
        ({"csr": "x" * 20_000}, "invalid_field", "csr"),
        ({"token": ""}, "invalid_field", "token"),
        ({"hostname": ""}, "invalid_field", "hostname"),
        ({"hostname": "a\u0000"}, "invalid_field", "hostname"),
        ({"hardware_info": []}, "invalid_field", "hardware_info"),
        ({"hardware_info": {"x": "y" * 20_000}}, "invalid_field", "hardware_info"),
        ({"extra": 1}, "invalid_field", "extra"),
    ],
)
def test_bad_fields(api, changes, code, field):
    token = api.ask("POST", "/api/provision/tokens", {}).body["token"]
    answer = _register(api, token, device_key(), **changes)
    assert (answer.status, answer.code, answer.body["field"]) == (400, code, field)
    assert api.ask("GET", "/api/devices").body["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"uses": 0}, "uses"),
        ({"expires_in_s": 0}, "expires_in_s"),
        ({"expires_in_s": 10**9}, "expires_in_s"),
        ({"fleet_id": "x"}, "fleet_id"),
    ],
)
def test_bad_tokens(api, body, field):
    answer = api.ask("POST", "/api/provision/tokens", body)
    assert (answer.code, answer.body["field"]) == ("invalid_field", field)
