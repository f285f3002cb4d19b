"""`make run` as a person knows it: it stops whole, goes on where it ended, and stands
beside another one."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.system import System, alive, running

pytestmark = pytest.mark.whole_machine


def page_of(system: System) -> str:
    """The demo page, as a visitor gets it through the device's address."""
    host = system.document["device_url"].split("/")[2].split(":")[0]
    status, body = system.client.fetch("GET", "/", host=host)
    assert status == 200, body
    return body.decode()


def test_it_stops_whole_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    with running("sqlite", tmp_path) as system:
        first = dict(system.document)
        assert "Hello from the edge" in page_of(system)
        assert system.password in system.said()
        assert first["gateway_port"] == system.port
        assert first["tunnel_port"] == system.port + 1
        assert stat.S_IMODE(Path(first["admin_password_file"]).stat().st_mode) == 0o600

        assert system.device()["status"] == "online"

        # Someone tries a stack that does not work: the next run comes up all the same.
        with pytest.raises(AssertionError, match="refused"):
            system.deploy("broken", "services: {web: {image: 'localhost:1/nothing:1'}}")

        system.stop()
        assert not system.run_file.exists()
        assert not [pid for pid in first["pids"].values() if alive(pid)]
        assert system.containers() == []

        system.start()
        again = system.document
        assert again["device_id"] == first["device_id"]
        assert again["device_url"] == first["device_url"]
        assert again["pids"] != first["pids"]
        assert "Hello from the edge" in page_of(system)
        assert len(system.client.ask("GET", "/api/devices")["items"]) == 1
        assert len(system.client.ask("GET", "/api/software")["items"]) == 2


def test_two_stand_side_by_side_and_one_without_docker(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    nowhere = f"unix://{tmp_path}/no.sock"
    with (
        running("sqlite", tmp_path / "one") as one,
        running("sqlite", tmp_path / "two", DOCKER_HOST=nowhere) as two,
    ):
        assert "Hello from the edge" in page_of(one)
        assert one.document["device_id"] != two.document["device_id"]

        document = json.loads(two.run_file.read_text())
        assert document["device_url"] is None
        assert f"no Docker Engine answers at {tmp_path}/no.sock" in two.said()
        assert two.device()["status"] == "online"
        ran = two.client.ask(
            "POST", f"/api/devices/{two.device_id}/command", {"argv": ["echo", "still here"]}
        )
        assert (ran["exit_code"], ran["stdout"]) == (0, "still here\n")


def test_a_second_run_finds_its_state_whatever_was_changed(tmp_path: Path) -> None:
    with running("sqlite", tmp_path, DOCKER_HOST=f"unix://{tmp_path}/no.sock") as system:
        first = system.device_id
        system.stop()

        # The tunnel's address that the device was given is another one now.
        system.port = free_ports()
        system.start()
        assert system.document["tunnel_port"] == system.port + 1
        assert (system.device_id, system.device()["status"]) == (first, "online")

        system.client.ask("DELETE", f"/api/devices/{first}")
        system.stop()
        system.start()
        assert system.device_id != first
        assert system.device()["status"] == "online"

        password = "a new one, and long enough"
        admin = system.client.ask("GET", "/api/auth/me")["id"]
        change = {"password": password, "current_password": system.password}
        system.client.ask("PUT", f"/api/users/{admin}", change)
        system.stop()
        with pytest.raises(AssertionError, match="Write the present one into that file"):
            system.start()
        Path(system.document["admin_password_file"]).write_text(password)
        system.start()
        assert system.device()["status"] == "online"
