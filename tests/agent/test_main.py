"""The program itself, as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import FrameType, TerminalTarget
from tests.agent.channels import gone
from tests.agent.device_server import DeviceServer, Screen
from tests.agent.enrolment_server import TOKEN
from tests.agent.test_service import server as server
from tests.agent.test_service import until


def hear_interrupts() -> None:
    """As a shell or an init leaves it for what runs in the foreground."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Program:
    """Agent processes on one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "agent.json"
        self.log = folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def configure(self, server: DeviceServer, **change: Any) -> None:
        (self.folder / "ca.pem").write_bytes(server.enrolment.authority.pem)
        (self.folder / "token").write_text(TOKEN)
        settings = {
            "state_dir": "state",
            "server_url": server.enrolment.url,
            "ca_file": "ca.pem",
            "token_file": "token",
            "docker_socket": "none.sock",
            "shell": "/bin/sh",
        }
        self.config.write_text(json.dumps(settings | change))

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgetainer_agent", "--config", str(self.config)],
                stderr=log,
                stdout=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
                # Whoever runs the tests in the background passes on a SIGINT that is
                # ignored, and the agent would leave it so.
                preexec_fn=hear_interrupts,  # noqa: PLW1509  # no threads in the child
            )
        self.processes.append(process)
        return process

    async def ended(self, process: subprocess.Popen[bytes]) -> int:
        code: int = await deferToThread(process.wait, 20)
        return code

    @property
    def words(self) -> str:
        return self.log.read_text()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_the_reactor_does_not_follow_the_wall_clock() -> None:
    program = (
        "import time\n"
        "from edgetainer_agent.main import install_reactor\n"
        "assert abs(install_reactor().seconds() - time.monotonic()) < 60\n"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **path}, timeout=60, check=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest_twisted.ensureDeferred
async def test_runs_until_a_signal_and_says_goodbye(
    program: Program, server: DeviceServer, number: int
) -> None:
    program.configure(server)
    process = program.start()
    await until(lambda: server.online)
    screen = Screen()
    await server.open(TerminalTarget(None, 80, 24), screen)
    screen.send_frame(FrameType.DATA, b"echo pid=$$.\r")
    await until(lambda: re.search(rb"pid=\d+\.", screen.output))
    (number_of_shell,) = re.findall(rb"pid=(\d+)\.", screen.output)
    shell = psutil.Process(int(number_of_shell))
    process.send_signal(number)
    assert await program.ended(process) == 0, program.words
    # It told the server: nobody had to wait for silence.
    await until(lambda: not server.online, seconds=5)
    await until(lambda: gone(shell))
    assert "Traceback" not in program.words
    assert TOKEN not in program.words


@pytest_twisted.ensureDeferred
async def test_killed_and_started_again_it_is_back(program: Program, server: DeviceServer) -> None:
    program.configure(server)
    process = program.start()
    await until(lambda: server.online)
    process.kill()
    assert await program.ended(process) == -signal.SIGKILL
    asked = server.asked.count("software")
    program.start()
    await until(lambda: server.asked.count("software") > asked)
    assert len(server.enrolment.requests) == 1
    assert server.online


@pytest_twisted.ensureDeferred
async def test_a_refused_token_is_said_and_has_its_exit_code(
    program: Program, server: DeviceServer
) -> None:
    program.configure(server)
    server.enrolment.refuse = EdgetainerError("token_used", "It was used on another device.")
    assert await program.ended(program.start()) == 77
    assert "edgetainer-agent: token_used: It was used on another device." in program.words


@pytest_twisted.ensureDeferred
async def test_wrong_settings_have_their_exit_code(program: Program, server: DeviceServer) -> None:
    program.configure(server, heartbeat_s="often")
    assert await program.ended(program.start()) == 78
    assert "heartbeat_s" in program.words
    program.configure(server, ca_file="missing.pem")
    assert await program.ended(program.start()) == 78
    assert "ca_file" in program.words
    program.configure(server)
    (program.folder / "token").unlink()
    assert await program.ended(program.start()) == 78
    assert "token_file" in program.words
    assert "Traceback" not in program.words


@pytest_twisted.ensureDeferred
async def test_two_agents_on_one_folder_are_refused(program: Program, server: DeviceServer) -> None:
    program.configure(server)
    program.start()
    await until(lambda: server.online)
    assert await program.ended(program.start()) == 78
    assert "another agent" in program.words
    assert server.online
