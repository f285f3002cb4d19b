"""Two network namespaces with an emulated link between them: the bench's machine.

Nothing outlives the bench. Processes in the namespaces are killed by the kernel
when the bench dies (`setpriv --pdeathsig`), the emulator ends at the end of its
input, and namespaces that a killed bench left behind are removed by the next one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from bench import places
from bench.emulator import DEVICE, Emulator
from bench.processes import descendants
from bench.profiles import Link

End = Literal["device", "server"]

PREFIX = "etbench"
FOLDER = Path("/run/netns")

_serial = itertools.count()


def missing() -> str | None:
    """What this machine lacks for namespaces with a link, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is missing"
    needed = ("ip", "nsenter", "setpriv")
    absent = [name for name in needed if shutil.which(name) is None]
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        absent.append("gcc")
    return f"not installed: {', '.join(absent)}" if absent else None


def run(*command: str) -> str:
    """Run a command to its end; its output.

    :raises RuntimeError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def sweep() -> None:
    """Remove the namespaces of benches that are no more."""
    for path in FOLDER.glob(f"{PREFIX}-*"):
        _, pid, started, *_ = path.name.split("-")
        if _started(int(pid)) != started:
            try:
                _remove(path.name)
            except RuntimeError:
                if path.exists():
                    raise
                # Another bench has swept it at the same moment.


def _started(pid: int) -> str | None:
    """When a process began, in ticks since boot; tells it from a later one of its id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _remove(name: str) -> None:
    for pid in run("ip", "netns", "pids", name).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run("ip", "netns", "delete", name)


class Machine:
    """The device's and the server's namespace and the link between them.

    :param seed: of the link.
    """

    def __init__(self, *, seed: int) -> None:
        sweep()
        mark = f"{PREFIX}-{os.getpid()}-{_started(os.getpid())}-{next(_serial)}"
        self._names: dict[End, str] = {"device": f"{mark}-d", "server": f"{mark}-s"}
        self._processes: list[subprocess.Popen[Any]] = []
        self.emulator: Emulator | None = None
        try:
            self._make(seed)
        except BaseException:
            self.close()
            raise

    def _make(self, seed: int) -> None:
        for name in self._names.values():
            run("ip", "netns", "add", name)
        self.emulator = Emulator(
            device=str(FOLDER / self._names["device"]),
            server=str(FOLDER / self._names["server"]),
            seed=seed,
        )
        for end, address in (("device", places.DEVICE), ("server", places.SERVER)):
            self.ip(end, "link", "set", "lo", "up")
            # Or IPv6's own packets would take from the link's dice.
            self.ip(end, "link", "set", DEVICE, "addrgenmode", "none")
            # What TCP hands over in one go must fit: the emulator takes it at once.
            self.ip(end, "link", "set", DEVICE, "mtu", "1500", "txqueuelen", "2000", "up")
            self.ip(end, "address", "add", f"{address}/24", "dev", DEVICE)
        self.ip("device", "address", "add", f"{places.SERVICE}/32", "dev", "lo")

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def link(self) -> Emulator:
        """The link."""
        assert self.emulator is not None
        return self.emulator

    def set_link(self, up: Link, down: Link) -> None:
        """Give both directions their properties."""
        self.link.set("up", up)
        self.link.set("down", down)

    def ip(self, end: str, *arguments: str) -> str:
        """Run `ip` in one of the namespaces."""
        return run("ip", "-n", self._names[end], *arguments)  # type: ignore[index]

    def command(self, end: End, command: Sequence[str]) -> list[str]:
        """The command line that runs a command at one end, and not longer than us."""
        path = FOLDER / self._names[end]
        return ["nsenter", f"--net={path}", "setpriv", "--pdeathsig", "KILL", *command]

    def start(self, end: End, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a process at one end; `stop` or `close` ends it."""
        process = subprocess.Popen(self.command(end, command), **options)
        self._processes.append(process)
        return process

    def run(self, end: End, *command: str) -> str:
        """Run a command at one end to its end; its output."""
        return run(*self.command(end, command))

    def stop(self, process: subprocess.Popen[Any], *, with_signal: int = signal.SIGTERM) -> None:
        """End a process that `start` began, politely first; wait until it is gone."""
        if process.poll() is None:
            process.send_signal(with_signal)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        if process in self._processes:
            self._processes.remove(process)

    def kill_tree(self, process: subprocess.Popen[Any]) -> None:
        """Kill a process that `start` began, and all that it started."""
        for pid in descendants(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop(process)

    def move_device(self, to: str) -> None:
        """The device gets another address, and loses the one it had."""
        for address in (places.DEVICE, places.DEVICE_MOVED):
            if address != to:
                self.ip("device", "address", "del", f"{address}/24", "dev", DEVICE)
        self.ip("device", "address", "add", f"{to}/24", "dev", DEVICE)

    def close(self) -> None:
        """End everything that runs in it, and remove it."""
        for process in list(self._processes):
            self.stop(process)
        if self.emulator is not None:
            self.emulator.close()
        for name in self._names.values():
            if (FOLDER / name).exists():
                _remove(name)
