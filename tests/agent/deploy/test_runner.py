from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel, capturedLogs

from edgetainer_agent.deploy import compose as compose_module
from edgetainer_agent.deploy.compose import Compose
from edgetainer_agent.deploy.runner import Runner
from edgetainer_agent.deploy.store import DeployStore, Record, Target
from edgetainer_agent.deploy.work import Report
from edgetainer_agent.docker import Docker

WEB = """
services:
  web:
    image: {image}
    command: ["httpd", "-f", "-p", "8080", "-h", "/www"]
    init: true
    stop_grace_period: 1s
    environment:
      GREETING: ${{GREETING:-none}}
"""
JOB = """
  job:
    image: {image}
    command: ["sh", "-c", "{script}"]
    init: true
    stop_grace_period: 1s
"""


class Device:
    """A runner on a real engine, and what it reported."""

    def __init__(self, folder: Path, docker: Docker, image: str) -> None:
        self.folder, self.docker, self.image = folder, docker, image
        self.clock = Clock()
        self.wait_s = 20
        self.reports: list[Report] = []
        self.runner = self.new_runner()

    def new_runner(self, docker: Docker | None = None) -> Runner:
        """As a new agent process would."""
        docker = docker or self.docker
        self.runner = Runner(
            clock=self.clock,
            store=DeployStore(self.folder / "deploy"),
            compose=Compose(reactor=reactor, socket=docker.socket),
            docker=docker,
            on_report=self.reports.append,
            wait_s=self.wait_s,
        )
        self.runner.start()
        return self.runner

    def target(self, revision: int, *stacks: dict[str, Any]) -> Target:
        return Target.parse({"revision": revision, "stacks": list(stacks)})

    def stack(
        self, name: str = "shop", compose: str = WEB, version: str = "1", **env: str
    ) -> dict[str, Any]:
        return {
            "deployment_id": f"d-{name}-{version}",
            "name": name,
            "version": version,
            "compose": compose.format(image=self.image, script="exit 1"),
            "env": env,
        }

    def job(self, script: str) -> str:
        return WEB + JOB.replace("{script}", script)

    async def deploy(self, revision: int, *stacks: dict[str, Any]) -> list[tuple[str, str]]:
        """Take a target, wait until it is quiet, and return what was reported."""
        del self.reports[:]
        self.runner.take(self.target(revision, *stacks))
        await self.quiet()
        return [(report.deployment_id, report.status) for report in self.reports]

    async def quiet(self) -> None:
        deadline = reactor.seconds() + 60  # type: ignore[attr-defined]
        while self.runner._running is not None:
            assert reactor.seconds() < deadline  # type: ignore[attr-defined]
            await deferLater(reactor, 0.02)

    async def ids(self) -> dict[str, str]:
        """Running containers by service."""
        containers = await self.docker.containers()
        return {
            f"{container.stack}/{container.service}": container.id
            for container in containers
            if container.state == "running"
        }


@pytest.fixture
def device(tmp_path: Path, agent_docker: Docker, busybox_image: str) -> Device:
    return Device(tmp_path, agent_docker, busybox_image)


@pytest_twisted.ensureDeferred
async def test_deploys_once_updates_and_removes(device: Device) -> None:
    weird = 'it\'s "$HOME" ${x} \\n #\nline two'
    assert await device.deploy(1, device.stack(GREETING=weird)) == [
        ("d-shop-1", "updating"),
        ("d-shop-1", "deployed"),
    ]
    first = await device.ids()
    assert list(first) == ["shop/web"]
    inspected = await device.docker.call(lambda c: c.inspect_container(first["shop/web"]))
    assert f"GREETING={weird}" in inspected["Config"]["Env"]

    # The same again, by a higher revision and by a new process: nothing is done.
    assert await device.deploy(2, device.stack(GREETING=weird)) == [("d-shop-1", "deployed")]
    device.new_runner()
    await device.quiet()
    assert await device.ids() == first

    # Another environment makes another container; a second stack lives beside it.
    assert await device.deploy(3, device.stack(GREETING="new"), device.stack("cafe")) == [
        ("d-shop-1", "updating"),
        ("d-shop-1", "deployed"),
        ("d-cafe-1", "updating"),
        ("d-cafe-1", "deployed"),
    ]
    second = await device.ids()
    assert set(second) == {"shop/web", "cafe/web"}
    assert second["shop/web"] != first["shop/web"]

    # An older answer that arrives late is ignored; what is unwanted goes.
    assert await device.deploy(1, device.stack(GREETING=weird)) == []
    assert await device.ids() == second
    await device.deploy(4, device.stack("cafe"))
    assert await device.ids() == {"cafe/web": second["cafe/web"]}
    assert not (device.folder / "deploy" / "stacks" / "shop").exists()
    assert device.runner.revision == 4
    assert [report.revision for report in device.runner.reports] == [4]


@pytest.mark.parametrize(
    "broken",
    [
        "services: [",
        "services: {web: {image: 'x', build: '.'}}",
        "services: {web: {image: 'x', depends_on: [none]}}",
        "services: {web: {image: 'x', ports: ['a:b']}}",
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_malformed_file_never_touches_what_runs(device: Device, broken: str) -> None:
    await device.deploy(1, device.stack())
    before = await device.ids()
    stack = {**device.stack(version="2"), "compose": broken}
    assert await device.deploy(2, stack) == [("d-shop-2", "updating"), ("d-shop-2", "failed")]
    assert device.reports[-1].detail
    assert await device.ids() == before
    # Back to what runs: it is still known to be applied.
    assert await device.deploy(3, device.stack()) == [("d-shop-1", "deployed")]
    assert await device.ids() == before


@pytest_twisted.ensureDeferred
async def test_a_container_that_fails_is_reported_with_its_last_lines(device: Device) -> None:
    stack = device.stack(compose=device.job("echo last words; exit 4"))
    assert await device.deploy(1, stack) == [("d-shop-1", "updating"), ("d-shop-1", "failed")]
    assert "last words" in device.reports[-1].detail
    assert "Exited (4)" in device.reports[-1].detail

    # It is not tried again at every look, but after a while, and at once if asked anew.
    assert await device.deploy(2, stack) == [("d-shop-1", "failed")]
    device.clock.advance(60)
    device.runner.reconcile()
    await device.quiet()
    assert [report.status for report in device.reports] == ["failed", "updating", "failed"]
    anew = await device.deploy(3, {**stack, "deployment_id": "d-new"})
    assert anew == [("d-new", "updating"), ("d-new", "failed")]


@pytest_twisted.ensureDeferred
async def test_a_job_that_did_its_work_is_no_failure(device: Device) -> None:
    stack = device.stack(compose=device.job("exit 0"))
    assert await device.deploy(1, stack) == [("d-shop-1", "updating"), ("d-shop-1", "deployed")]
    assert await device.deploy(2, stack) == [("d-shop-1", "deployed")]


@pytest.mark.parametrize("well", [True, False])
@pytest_twisted.ensureDeferred
async def test_beside_a_job_the_others_are_still_waited_for(device: Device, well: bool) -> None:
    check = "exit 0" if well else "exit 1"
    health = f"    healthcheck: {{{{test: {check}, interval: 200ms, retries: 9999}}}}\n"
    compose = device.job("exit 0").replace("  job:", health + "  job:")
    device.wait_s = 2
    device.new_runner()
    await device.deploy(1, device.stack(compose=compose))
    assert device.reports[-1].status == ("deployed" if well else "failed")
    if not well:
        assert "not healthy" in device.reports[-1].detail


@pytest_twisted.ensureDeferred
async def test_a_service_that_is_dropped_goes(device: Device) -> None:
    await device.deploy(1, device.stack(compose=device.job("exec sleep 600")))
    assert set(await device.ids()) == {"shop/web", "shop/job"}
    await device.deploy(2, device.stack(version="2"))
    assert set(await device.ids()) == {"shop/web"}


@pytest_twisted.ensureDeferred
async def test_a_stopped_container_is_brought_back(device: Device) -> None:
    await device.deploy(1, device.stack())
    (container,) = (await device.ids()).values()
    await device.docker.call(lambda client: client.kill(container))
    device.runner.reconcile()
    await device.quiet()
    assert list(await device.ids()) == ["shop/web"]


@pytest_twisted.ensureDeferred
async def test_an_interrupted_deployment_is_applied_again_offline(device: Device) -> None:
    slow = device.job("exec sleep 600") + (
        "    healthcheck: {{test: [CMD, test, -e, /tmp/well], interval: 100ms}}\n"
    )
    device.runner.take(device.target(1, device.stack(compose=slow)))
    for _ in range(500):
        if "shop/job" in await device.ids():
            break
        await deferLater(reactor, 0.02)
    await device.runner.stop()
    await device.quiet()
    record = json.loads((device.folder / "deploy/stacks/shop/record.json").read_text())
    assert record["applied"] is False
    assert [report.status for report in device.reports] == ["updating"]

    # What the compose program was stopped from waiting for happens meanwhile.
    job = (await device.ids())["shop/job"]
    made = await device.docker.call(lambda c: c.exec_create(job, ["touch", "/tmp/well"]))
    await device.docker.call(lambda client: client.exec_start(made["Id"]))
    del device.reports[:]
    device.new_runner()
    await device.quiet()
    assert [report.status for report in device.reports] == ["updating", "deployed"]
    assert set(await device.ids()) == {"shop/web", "shop/job"}


@pytest_twisted.ensureDeferred
async def test_without_an_engine_it_says_so_and_goes_on(
    device: Device, tmp_path: Path, monkeypatch: Any
) -> None:
    nowhere = Docker(reactor=reactor, socket=tmp_path / "none.sock", prefix=device.docker.prefix)
    nowhere.start()
    try:
        device.new_runner(nowhere)
        assert (await device.deploy(1, device.stack()))[-1] == ("d-shop-1", "failed")
        # Without Compose too.
        monkeypatch.setattr(compose_module, "candidates", lambda: [])
        device.new_runner()
        device.clock.advance(3600)
        device.runner.reconcile()
        await device.quiet()
        assert "docker_unavailable" in device.reports[-1].detail
        # Then there is one.
        monkeypatch.undo()
        device.new_runner()
        await device.quiet()
        assert device.reports[-1].status == "deployed"
    finally:
        nowhere.stop()


@pytest_twisted.ensureDeferred
async def test_an_engine_that_was_away_is_found_again_within_seconds(
    device: Device, tmp_path: Path
) -> None:
    await device.deploy(1, device.stack())
    before = await device.ids()
    away = tmp_path / "away.sock"
    engine = Docker(reactor=reactor, socket=away, prefix=device.docker.prefix)
    engine.start()
    try:
        with capturedLogs() as said:
            device.new_runner(engine)
            for _ in range(8):
                await device.quiet()
                device.clock.advance(5)
            await device.quiet()
        assert [report.status for report in device.reports[2:]] == ["failed"]
        # Said once, and not at each look.
        assert [event.get("status") for event in said if event["log_level"] >= LogLevel.info] == [
            "failed"
        ]
        # Nobody asks for another look: it comes by itself, and finds all as it was.
        away.symlink_to(device.docker.socket)
        device.clock.advance(5)
        await device.quiet()
        assert device.reports[-1].status == "deployed"
        assert await device.ids() == before
    finally:
        engine.stop()


@pytest_twisted.ensureDeferred
async def test_a_failed_target_is_tried_again_by_itself(device: Device) -> None:
    await device.deploy(1, device.stack(compose=device.job("test -e /tmp/no")))
    del device.reports[:]
    device.clock.advance(59)
    await device.quiet()
    assert device.reports == []
    device.clock.advance(1)
    await device.quiet()
    assert [report.status for report in device.reports] == ["updating", "failed"]
    # Longer and longer, and not at all once it is stopped.
    device.clock.advance(119)
    await device.quiet()
    assert len(device.reports) == 2
    await device.runner.stop()
    assert device.clock.getDelayedCalls() == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError("mistake")])
@pytest_twisted.ensureDeferred
async def test_one_stack_that_cannot_be_noted_down_holds_up_no_other(
    device: Device, monkeypatch: Any, error: Exception
) -> None:
    write_record = DeployStore.write_record

    def refuse(store: DeployStore, name: str, record: Record) -> None:
        if name == "cafe" and record.applied:
            raise error
        write_record(store, name, record)

    def keep(store: DeployStore, name: str) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(DeployStore, "write_record", refuse)
        broken.setattr(DeployStore, "forget", keep)
        reported = await device.deploy(1, device.stack("cafe"), device.stack("shop"))
        assert reported == [
            ("d-cafe-1", "updating"),
            ("d-cafe-1", "failed"),
            ("d-shop-1", "updating"),
            ("d-shop-1", "deployed"),
        ]
        await device.deploy(2, device.stack("shop"), device.stack("cafe"))
        assert await device.deploy(3, device.stack("bar")) == [
            ("d-bar-1", "updating"),
            ("d-bar-1", "deployed"),
        ]
        assert set(await device.ids()) == {"bar/web"}
        assert (device.folder / "deploy/stacks/shop").exists()
    # What could not be forgotten is, once it can be.
    device.clock.advance(60)
    await device.quiet()
    assert not (device.folder / "deploy/stacks/shop").exists()


@pytest_twisted.ensureDeferred
async def test_a_folder_that_cannot_be_used_is_used_once_it_can(device: Device) -> None:
    blocked = device.folder / "other"
    blocked.write_text("in the way")
    device.folder = blocked
    device.new_runner()
    device.runner.reconcile()
    with pytest.raises(OSError, match="Not a directory"):
        device.runner.take(device.target(1, device.stack()))
    assert device.runner.revision == -1
    blocked.unlink()
    assert (await device.deploy(1, device.stack()))[-1] == ("d-shop-1", "deployed")


@pytest_twisted.ensureDeferred
async def test_a_full_disk_is_reported_before_anything_is_touched(
    device: Device, monkeypatch: Any
) -> None:
    await device.deploy(1, device.stack())
    before = await device.ids()

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DeployStore, "write_record", full)
    assert (await device.deploy(2, device.stack(version="2")))[-1] == ("d-shop-2", "failed")
    assert "No space left" in device.reports[-1].detail
    assert await device.ids() == before
