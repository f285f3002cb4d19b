from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_twisted
import yaml
from twisted.internet import reactor
from twisted.internet.defer import CancelledError

from edgetainer.domain.compose import parse
from edgetainer.errors import EdgetainerError
from edgetainer_agent.deploy import compose as module
from edgetainer_agent.deploy.compose import Compose, Run, candidates
from edgetainer_agent.deploy.store import DeployStore, Stack
from tests.agent.channels import gone
from tests.docker import SOCKET


def script(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(0o755)
    return file


def release(folder: Path, compose: str, **environment: str) -> Any:
    store = DeployStore(folder)
    store.open()
    document = {"deployment_id": "d", "name": "shop", "version": "1", "compose": compose}
    return store.write_release(Stack.parse({**document, "env": environment}, "stack"))


@pytest_twisted.ensureDeferred
async def test_validates_and_keeps_the_last_words(tmp_path: Path) -> None:
    compose = Compose(reactor=reactor, socket=SOCKET)
    good = release(tmp_path, "services: {web: {image: 'x:${TAG}'}}", TAG="1")
    assert (await compose.validate("et-test", good)).succeeded
    bad = release(tmp_path, "services: {web: {image: x, depends_on: [none]}}")
    finished = await compose.validate("et-test", bad)
    assert not finished.succeeded
    assert "none" in finished.last_lines


def test_scripts_are_passed_over(tmp_path: Path, monkeypatch: Any) -> None:
    wrapper = script(tmp_path, "docker-compose", "#!/bin/sh\nexit 0\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert (str(wrapper),) not in candidates()
    binary = tmp_path / "docker"
    binary.symlink_to("/bin/true")
    assert candidates()[0] == (str(binary), "compose")


@pytest_twisted.ensureDeferred
async def test_none_installed_is_a_clear_error(tmp_path: Path, monkeypatch: Any) -> None:
    # A docker without the plugin answers 0 to some questions and 1 to others.
    old = script(tmp_path, "docker", "#!/bin/sh\necho 'unknown command: compose' >&2; exit 1\n")
    ancient = script(tmp_path, "ancient", "#!/bin/sh\necho 1.29.2\n")
    monkeypatch.setattr(
        module, "candidates", lambda: [(str(old), "compose"), (str(ancient),), ("/no/such",)]
    )
    compose = Compose(reactor=reactor, socket=SOCKET)
    with pytest.raises(EdgetainerError) as caught:
        await compose.validate("et-test", release(tmp_path, "services: {}"))
    assert caught.value.code == "docker_unavailable"
    assert "Compose" in caught.value.detail


@pytest_twisted.ensureDeferred
async def test_a_run_is_bounded_in_time_and_memory() -> None:
    endless = ["/bin/sh", "-c", "echo first; yes line | head -c 3000000; sleep 60 & sleep 60"]
    started = reactor.seconds()  # type: ignore[attr-defined]
    finished = await Run(reactor, endless, {"PATH": "/usr/bin:/bin"}, 0.5).finished
    assert not finished.succeeded
    assert "stopped after 0.5 s" in finished.last_lines
    assert "first" not in finished.last_lines
    assert len(finished.last_lines) < 20_000
    assert reactor.seconds() - started < 5  # type: ignore[attr-defined]


@pytest_twisted.ensureDeferred
async def test_a_run_can_be_cancelled() -> None:
    run = Run(reactor, ["sleep", "60"], {"PATH": "/usr/bin:/bin"}, 60)
    run.finished.cancel()
    with pytest.raises(CancelledError):
        await run.finished


# Spellings of a mount, of which some are the host's files to Docker Compose.
MOUNTS = [
    *("data:/d", "data:/d:ro", "/d", "d/d", "dd:/d:z", "data.1:/d", "data-1:/d", "0:/d", "0:x:/d"),
    *("c:/d", "c:x/../../etc:/d", "c:../../../etc:/d", "c:d", "C:/d:ro", "c::/d", "cc:../etc:/d"),
    *("..:/d", "./a:/d", "~:/d", "~root:/d", "/etc:/d", "//etc:/d", "a/b:/d", " /e:/d", "\\\\x:/d"),
]


def test_no_mount_that_is_taken_for_harmless_is_the_hosts_to_compose(tmp_path: Path) -> None:
    """Docker Compose reads mounts by rules of its own; ours have to be stricter."""
    program = next(argv for argv in candidates() if _works(argv))
    harmless = []
    for number, mount in enumerate(MOUNTS):
        volumes = dict.fromkeys(("data", "data.1", "data-1", "c", "C", "0", "dd", "cc"))
        service = {"image": "x", "volumes": [mount]}
        text = json.dumps({"services": {"web": service}, "volumes": volumes})
        if parse(text).privileges:
            continue
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        argv = [*program, "-p", "et-test", "-f", str(file), "config", "--format", "json"]
        ran = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        if ran.returncode == 0:
            (read,) = json.loads(ran.stdout)["services"]["web"]["volumes"]
            assert read["type"] == "volume", mount
            harmless.append(mount)
    assert "data:/d" in harmless


def _works(argv: tuple[str, ...]) -> bool:
    return subprocess.run([*argv, "version"], capture_output=True, check=False).returncode == 0


@pytest_twisted.ensureDeferred
async def test_only_runs_left_behind_for_this_device_are_ended() -> None:
    def left_behind(project: str) -> psutil.Popen:
        # As a shell that starts another program, as docker starts its plugin.
        program = ["/bin/sh", "-c", "sleep 60 & echo; wait", "compose", "--project-name", project]
        process = psutil.Popen(program, stdout=subprocess.PIPE, start_new_session=True)
        process.stdout.readline()
        return process

    ours, theirs = left_behind("et-0123abcd-shop"), left_behind("et-9876abcd-shop")
    try:
        (child,) = ours.children()
        Compose(reactor=reactor, socket=SOCKET).end_leftovers("et-0123abcd-")
        assert gone(ours)
        psutil.wait_procs([child], timeout=5)
        assert gone(child)
        assert not gone(theirs)
    finally:
        for process in (ours, theirs):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest_twisted.ensureDeferred
async def test_variables_of_the_agent_are_not_the_stacks(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EDGETAINER_AGENT_TOKEN", "s3cret")
    monkeypatch.setenv("COMPOSE_FILE", "/etc/passwd")
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    text = """
services:
  web:
    image: "x:${EDGETAINER_AGENT_TOKEN:-none}"
    environment: [EDGETAINER_AGENT_TOKEN, GIVEN, DOCKER_HOST]
"""
    # Nor are the stack's variables settings of Compose that lead elsewhere.
    given = {
        "GIVEN": "1",
        "COMPOSE_FILE": "/etc/passwd",
        "COMPOSE_PROJECT_NAME": "et-stranger",
        "DOCKER_CONFIG": "/elsewhere",
        "DOCKER_HOST": "tcp://elsewhere:2",
    }
    compose = Compose(reactor=reactor, socket=SOCKET)
    files = release(tmp_path, text, **given)
    shown = await compose._run(module._release("et-test", files, "config"), 60)
    assert shown.succeeded, shown.last_lines
    document = yaml.safe_load(shown.last_lines)
    assert document["name"] == "et-test"
    service = document["services"]["web"]
    assert service["image"] == "x:none"
    assert service["environment"] == {
        "EDGETAINER_AGENT_TOKEN": None,
        "GIVEN": "1",
        "DOCKER_HOST": f"unix://{SOCKET}",
    }
    assert compose._environment()["DOCKER_CONFIG"] == str(tmp_path)
