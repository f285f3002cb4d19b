"""Simulated devices and the real server, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import until
from tests.server_process import ROOT, ServerProcess

DEVICES = 30

# Real processes that are killed and started: not beside others, and on one set of versions.
pytestmark = pytest.mark.whole_machine


class Devices:
    """A process of simulated devices."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.folder = folder
        self.report = folder / "report.json"
        self.log = folder / "log"
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, **environment: str) -> None:
        self.folder.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "edgetainer.simulate.main"),
                    *("--server", self._server.url, "--ca-file", str(self._server.ca_file)),
                    *("--state", str(self.folder / "state"), "--report", str(self.report)),
                    *("--tell-every-s", "0.2", *options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={
                    **os.environ,
                    **environment,
                    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'agent'}",
                },
            )

    def figures(self) -> dict[str, Any]:
        return dict(json.loads(self.report.read_text())) if self.report.exists() else {}

    def stop(self) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), heartbeat_s=1) as running:
        yield running


@pytest.fixture
def devices(server: ServerProcess, tmp_path: Path) -> Iterator[Devices]:
    made = Devices(server, tmp_path / "devices")
    yield made
    made.stop()


def online(server: ServerProcess) -> list[dict[str, Any]]:
    listed = server.client.ask("GET", f"/api/devices?limit={DEVICES + 1}")["items"]
    return [one for one in listed if one["status"] not in ("offline", "pending")]


def test_devices_enrol_beat_obey_and_come_back_after_the_server_was_killed(
    server: ServerProcess, devices: Devices
) -> None:
    token = server.token(DEVICES)
    devices.start("--devices", str(DEVICES), "--pull-s", "0.1", EDGETAINER_SIMULATE_TOKEN=token)
    until("all are online", lambda: len(online(server)) == DEVICES, 60)
    until("all have beaten", lambda: devices.figures().get("heartbeats", 0) >= DEVICES, 30)
    one = online(server)[0]

    wanted = {"argv": ["sh", "-c", "echo hello"]}
    done = server.client.ask("POST", f"/api/devices/{one['id']}/command", wanted)
    assert (done["exit_code"], done["stdout"]) == (0, "hello\n"), done

    upload = {"name": "shop", "compose": "services:\n  web:\n    image: nginx:1\n"}
    software = server.client.ask("POST", "/api/software/upload", upload)
    path = f"/api/software/{software['id']}/deploy"
    server.client.ask("POST", path, {"device_id": one["id"]})
    until("it is deployed", lambda: devices.figures().get("deployed", 0) >= 1, 30)

    server.kill()
    server.start()
    server.sign_in()
    # The device notices by two keepalives of silence at the latest: 20 s.
    before = devices.figures().get("heartbeats", 0)
    until("all are back", lambda: len(online(server)) == DEVICES, 90)
    until("they beat", lambda: devices.figures()["heartbeats"] >= before + DEVICES, 30)
    assert devices.figures()["connected"] >= 2 * DEVICES


def test_a_second_start_needs_no_token_and_an_unknown_one_is_refused(
    server: ServerProcess, devices: Devices, tmp_path: Path
) -> None:
    few = ("--name-prefix", "few")
    token = tmp_path / "token"
    token.write_text(server.token(3))
    devices.start(*few, "--devices", "3", "--token-file", str(token))
    until("all are online", lambda: devices.figures().get("online") == 3, 60)
    assert devices.stop() == 0
    devices.report.unlink()

    devices.start(*few, "--devices", "3", "--disconnect-every", "1", "--disconnect-for", "1")
    until("all are online", lambda: devices.figures().get("online") == 3, 60)
    until("links are cut", lambda: devices.figures()["cuts"] >= 3, 60)
    assert devices.stop() == 0

    devices.start(*few, "--devices", "4")
    assert devices._process is not None
    assert devices._process.wait(60) == 78, "the fourth has no token"
    devices.start(*few, "--devices", "4", EDGETAINER_SIMULATE_TOKEN="nonsense")
    assert devices._process.wait(60) == 77
    assert "token_unknown" in devices.log.read_text()
