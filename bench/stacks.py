"""The tunnels that are compared: ours, and OpenSSH over two kinds of TCP.

Each brings up the same two local ports at the server's end (`places.BULK_DOOR`,
`places.ECHO_DOOR`) that lead to the device's service and to a terminal on it.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from bench import credentials, places
from bench.emulator import DEVICE
from bench.namespaces import End, Machine, run
from bench.processes import Reports, environment

#: Seconds until a tunnel must be up: a handshake with losses on a slow link.
UP_WITHIN_S = 90.0


class Stack(Protocol):
    """A tunnel between the two ends of a machine."""

    name: str

    def start_server(self) -> None:
        """Begin to serve; returns when it listens."""

    def start_device(self) -> None:
        """Begin to dial; returns when the local ports are there or soon will be."""

    def stop_device(self) -> None:
        """End the device's process properly."""

    def kill_server(self) -> None:
        """End the server without a word."""

    def pids(self, end: End) -> list[int]:
        """Whose processor time counts at this end, descendants included."""

    def check(self) -> None:
        """Raise unless what runs is what was asked for; called with the tunnel up."""


class Ours:
    """The product's own code in one process at each end.

    :param folder: for the state of both; what the agent remembers stays in it.
    """

    name = "ours"

    def __init__(self, machine: Machine, folder: Path) -> None:
        self._machine = machine
        self._folder = folder
        self._processes: dict[End, subprocess.Popen[bytes]] = {}
        self._reports: dict[End, Reports] = {}
        credentials.enrol(folder / "server", folder / "device")

    def start_server(self) -> None:
        self._start("server", "bench.server_end")
        self._reports["server"].until("listening", 30)

    def start_device(self) -> None:
        self._start("device", "bench.agent_end")
        self._reports["device"].until("connected", UP_WITHIN_S)

    def stop_device(self) -> None:
        self._machine.stop(self._processes.pop("device"))

    def kill_server(self) -> None:
        self._machine.stop(self._processes.pop("server"), with_signal=signal.SIGKILL)

    def pids(self, end: End) -> list[int]:
        return [self._processes[end].pid]

    def check(self) -> None:
        """Nothing to choose: it is what this checkout has."""

    def _start(self, end: End, module: str) -> None:
        with open(self._folder / f"{end}.log", "ab") as log:
            process = self._machine.start(
                end,
                [sys.executable, "-P", "-m", module, str(self._folder / end)],
                env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._processes[end] = process
        self._reports[end] = Reports(process)


class Ssh:
    """`ssh -R` from the device to an sshd of our own, over TCP with this control.

    :param control: TCP congestion control, "cubic" or "bbr", set on the route and
        confirmed on the live connection at both ends.
    :param again_s: seconds after which the device dials again when ssh has ended;
        None: it does not.
    """

    def __init__(
        self, machine: Machine, folder: Path, *, control: str, again_s: float | None = None
    ) -> None:
        self.name = f"ssh-{control}"
        self._machine = machine
        self._folder = folder
        self._control = control
        self._again_s = again_s
        self._processes: dict[End, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for key in ("host", "device"):
            if not (folder / key).exists():
                run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
        (folder / "authorized").write_text((folder / "device.pub").read_text())
        host = (folder / "host.pub").read_text()
        (folder / "known").write_text(f"[{places.SERVER}]:{places.SSH_PORT} {host}")
        (folder / "sshd.conf").write_text(
            f"""ListenAddress {places.SERVER}:{places.SSH_PORT}
HostKey {folder / "host"}
AuthorizedKeysFile {folder / "authorized"}
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
ClientAliveInterval 15
ClientAliveCountMax 3
"""
        )
        # Per route: a namespace may not set the default, and both ends must agree.
        for end, peer in (("device", places.SERVER), ("server", places.DEVICE),
                          ("server", places.DEVICE_MOVED)):  # fmt: skip
            machine.ip(end, "route", "replace", f"{peer}/32", "dev", DEVICE,
                       "congctl", "lock", control)  # fmt: skip

    def start_server(self) -> None:
        # sshd insists on this folder, which Debian makes when the service starts.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._start("server", [_sshd(), "-D", "-e", "-f", str(self._folder / "sshd.conf")])
        self._wait("server", places.SSH_PORT, "sshd does not listen")

    def start_device(self) -> None:
        forwards = ((places.BULK_DOOR, places.BULK_PORT), (places.ECHO_DOOR, places.ECHO_PORT))
        command = ["ssh", "-N", "-F", "none", "-i", str(self._folder / "device"),
                   "-p", str(places.SSH_PORT)]  # fmt: skip
        for option in (
            "BatchMode=yes", "ExitOnForwardFailure=yes", "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
            # A loop that waited longer would only come back later.
            f"ConnectTimeout={UP_WITHIN_S if self._again_s is None else 10:.0f}",
            f"UserKnownHostsFile={self._folder / 'known'}",
        ):  # fmt: skip
            command += ["-o", option]
        for door, port in forwards:
            command += ["-R", f"127.0.0.1:{door}:{places.SERVICE}:{port}"]
        command.append(f"root@{places.SERVER}")
        if self._again_s is not None:
            loop = f'while :; do "$@"; sleep {self._again_s:g}; done'
            command = ["sh", "-c", loop, "ssh-again", *command]
        self._start("device", command)
        self._wait("server", places.ECHO_DOOR, "ssh did not forward")

    def stop_device(self) -> None:
        # With the loop that would start it again.
        self._machine.kill_tree(self._processes.pop("device"))

    def kill_server(self) -> None:
        # All of it, with the processes of the connections, as a power cut would.
        server = self._processes.pop("server")
        self._machine.kill_tree(server)

    def pids(self, end: End) -> list[int]:
        return [self._processes[end].pid]

    def check(self) -> None:
        """Confirm TCP's congestion control at both ends of the live connection.

        :raises RuntimeError: it is another one, or cannot be told.
        """
        for end in ("device", "server"):
            listing = self._machine.run(end, "ss", "-Htni")
            connections = re.findall(
                rf"^ESTAB.*:{places.SSH_PORT}\b.*\n\s+(.*)$", listing, re.MULTILINE
            )
            if not connections:
                raise RuntimeError(f"ss shows no ssh connection at the {end}:\n{listing}")
            for details in connections:
                if self._control not in details.split():
                    raise RuntimeError(
                        f"ssh's connection at the {end} does not use {self._control}: {details}"
                    )

    def _start(self, end: End, command: list[str]) -> None:
        with open(self._folder / f"{end}.log", "ab") as log:
            self._processes[end] = self._machine.start(
                end, command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait(self, end: End, port: int, otherwise: str) -> None:
        deadline = time.monotonic() + UP_WITHIN_S
        while f":{port} " not in self._machine.run(end, "ss", "-Htln"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{otherwise} within {UP_WITHIN_S:g} s")
            time.sleep(0.05)


def _sshd() -> str:
    for folder in ("/usr/sbin", "/usr/local/sbin", "/sbin"):
        if (Path(folder) / "sshd").exists():
            return f"{folder}/sshd"
    raise RuntimeError("sshd is not installed (Debian: openssh-server)")


#: Names of the stacks in the order of the report.
STACKS = ("ours", "ssh-cubic", "ssh-bbr")


def make(name: str, machine: Machine, folder: Path, *, again_s: float | None = None) -> Stack:
    """The stack of this name.

    :param again_s: seconds after which ssh is started again when it has ended; ours
        dials again by itself.
    """
    if name == "ours":
        return Ours(machine, folder)
    return Ssh(machine, folder, control=name.removeprefix("ssh-"), again_s=again_s)
