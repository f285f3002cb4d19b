"""The agent as a process, killed while it deploys to a real engine."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgetainer_agent.deploy.store import DeployStore, Target
from edgetainer_agent.docker import project_prefix
from edgetainer_agent.identity import IdentityStore
from tests.agent.test_identity import enrolled
from tests.docker import SOCKET, remove_projects

#: Services that come up one after the other, so that there is a middle to die in.
COMPOSE = """
x-service: &service
  image: {image}
  command: ["sleep", "600"]
  init: true
  stop_grace_period: 1s
  environment: {{VERSION: "{version}"}}
  healthcheck: {{test: [CMD, "true"], interval: 300ms}}
services:
  first: *service
  second: {{<<: *service, depends_on: {{first: {{condition: service_healthy}}}}}}
"""


class Machine:
    """A device that is offline and runs what it was told last."""

    def __init__(self, folder: Path, device_id: str, image: str) -> None:
        self.image = image
        self.prefix = project_prefix(device_id)
        identities = IdentityStore(folder / "state")
        identities.open()
        identities.save(enrolled(identities, device_id))
        identities.close()
        self.store = DeployStore(folder / "state" / "deploy")
        self.store.open()
        self.log = folder / "log"
        self.settings = folder / "agent.json"
        self.settings.write_text(
            json.dumps(
                {
                    "state_dir": "state",
                    "server_url": "https://localhost:1",
                    "docker_socket": str(SOCKET),
                    "compose_wait_s": 30,
                }
            )
        )
        self.process: subprocess.Popen[bytes] | None = None

    def want(self, revision: int) -> str:
        """Save a target as the agent would; returns the digest of its stack."""
        stack = {
            "deployment_id": f"d-{revision}",
            "name": "shop",
            "version": str(revision),
            "compose": COMPOSE.format(image=self.image, version=revision),
            "env": {},
        }
        target = Target.parse({"revision": revision, "stacks": [stack]})
        self.store.save_target(target)
        return target.stacks[0].digest

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edgetainer_agent", "--config", str(self.settings)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def record(self) -> tuple[str, bool] | None:
        record = self.store.record("shop")
        return None if record is None else (record.digest, record.applied)

    def until(self, condition: Callable[[], bool], *, seconds: float = 40.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def compose_runs(self) -> list[psutil.Process]:
        """Runs of Compose for this device, whoever started them."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if f"{self.prefix}shop" in (process.info["cmdline"] or ())
        ]

    def end(self) -> None:
        self.kill()
        for process in self.compose_runs():
            process.kill()


@pytest.fixture
def machine(
    tmp_path: Path, device_id: str, docker_engine: Any, busybox_image: str
) -> Iterator[Machine]:
    made = Machine(tmp_path, device_id, busybox_image)
    yield made
    made.end()
    remove_projects(docker_engine, made.prefix)


def test_killed_in_the_middle_it_ends_on_the_target(machine: Machine, docker_engine: Any) -> None:
    seed = 7
    print(f"seed {seed}")
    chance = random.Random(seed)
    for revision in (1, 2, 3):
        digest = machine.want(revision)
        machine.start()
        machine.until(lambda digest=digest: machine.record() == (digest, False))
        time.sleep(chance.uniform(0.0, 1.2))
        machine.kill()
        print(revision, machine.record(), len(machine.compose_runs()))
    digest = machine.want(4)
    machine.start()
    machine.until(lambda: machine.record() == (digest, True))
    # Nothing is left of the runs that lost their agent and could still interfere.
    assert machine.compose_runs() == []
    found = docker_engine.containers(
        all=True, filters={"label": f"com.docker.compose.project={machine.prefix}shop"}
    )
    inspected = [docker_engine.inspect_container(one["Id"]) for one in found]
    assert sorted(
        (one["Config"]["Labels"]["com.docker.compose.service"], one["State"]["Status"])
        for one in inspected
    ) == [("first", "running"), ("second", "running")]
    assert all("VERSION=4" in one["Config"]["Env"] for one in inspected)
    assert "Traceback" not in machine.log.read_text()
