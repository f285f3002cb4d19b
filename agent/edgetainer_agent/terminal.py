"""A login shell of the device on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import pwd
import signal
import struct
import termios
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import TerminalTarget
from edgetainer_agent.process import signal_name, signal_number
from edgetainer_agent.program import ProgramListener

log = Logger()

#: Seconds between hanging up and killing what ignored it.
KILL_AFTER_S = 5.0
#: Where login shells look for programs, the account's own settings apart.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin"


def host_environment(term: str | None = None) -> dict[str, str]:
    """What a login would set. Nothing of the agent's own environment is in it,
    because that may hold its enrolment token.
    """
    account = pwd.getpwuid(os.getuid())
    environment = {
        "HOME": account.pw_dir,
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "LOGNAME": account.pw_name,
        "PATH": PATH,
        "SHELL": account.pw_shell or "/bin/sh",
        "USER": account.pw_name,
    }
    if term is not None:
        environment["TERM"] = term
    return environment


class HostTerminal(ProcessProtocol):
    """A program on a pty of this machine; a `Program`.

    :param shell: the login shell; None: the account's own.
    :raises EdgetainerError: `command_failed` when it cannot be started.
    """

    def __init__(self, *, reactor: Any, target: TerminalTarget, shell: str | None = None) -> None:
        self._reactor = reactor
        self._listener: ProgramListener | None = None
        self._result: tuple[int | None, str | None] | None = None
        self._hung_up = False
        environment = host_environment(target.term)
        if shell is not None:
            environment["SHELL"] = shell
        if target.command:
            executable, argv = target.command[0], list(target.command)
        else:
            # A dash before its name makes a shell a login shell.
            executable = environment["SHELL"]
            argv = [f"-{os.path.basename(executable)}"]
        if _find(executable) is None:
            raise EdgetainerError("command_failed", f"cannot start {executable}: it is not there")
        home = environment["HOME"] if os.path.isdir(environment["HOME"]) else "/"
        try:
            master, slave = pty.openpty()
        except OSError as error:
            raise EdgetainerError("command_failed", f"no pseudo-terminal: {error}") from error
        # Before the program starts, so that it never sees a size of 0 x 0.
        _set_size(master, target.columns, target.rows)
        try:
            # Twisted makes the child a session leader on the pty and sets every
            # signal that we inherited as ignored back to its default, without
            # which Ctrl-C would be dead under an agent started in the background.
            self._process = reactor.spawnProcess(
                self, executable, argv, env=environment, path=home, usePTY=(master, slave, "")
            )
        except OSError as error:
            os.close(master)
            os.close(slave)
            raise EdgetainerError(
                "command_failed", f"cannot start {executable}: {error}"
            ) from error
        self.pid: int = self._process.pid
        self._process.pauseProducing()

    def start(self, listener: ProgramListener) -> None:
        self._listener = listener
        if self._result is not None:
            listener.ended(*self._result)
        else:
            self._process.resumeProducing()

    def write(self, data: bytes) -> None:
        self._process.write(data)

    def close_input(self) -> None:
        """Type the end-of-file character, as a person would."""
        self._process.write(b"\x04")

    def register_input(self, producer: IPushProducer) -> None:
        self._process.registerProducer(producer, True)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal, which sends SIGWINCH to the foreground program."""
        if self._process.connected:
            _set_size(self._process.fileno(), columns, rows)

    def send_signal(self, name: str) -> None:
        """Signal the program in the foreground."""
        number = signal_number(name)
        if number is None or not self._process.connected:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError, OSError):
            group = struct.unpack(
                "i", fcntl.ioctl(self._process.fileno(), termios.TIOCGPGRP, b"\0\0\0\0")
            )[0]
            # 0: the terminal has no foreground any more. To `killpg` it is our own.
            if group > 0:
                os.killpg(group, number)

    def hang_up(self) -> None:
        """Close the terminal, as pulling a modem's cable did."""
        if self._hung_up or self._result is not None:
            return
        self._hung_up = True
        self._process.unregisterProducer()
        if self._process.connected:
            # At once: a polite close would wait until the program read its input.
            self._process.connectionLost(Failure(ConnectionDone()))
        self._signal_session(signal.SIGHUP)
        self._reactor.callLater(KILL_AFTER_S, self._kill)

    def pauseProducing(self) -> None:
        self._process.pauseProducing()

    def resumeProducing(self) -> None:
        self._process.resumeProducing()

    def stopProducing(self) -> None:
        self.hang_up()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if self._listener is not None and not self._hung_up:
            self._listener.output(data)

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        code, number = ended.exitCode, ended.signal
        self._result = (None, signal_name(number)) if number else (code, None)
        if self._listener is not None and not self._hung_up:
            self._listener.ended(*self._result)

    def _kill(self) -> None:
        if self._result is None:
            log.warn("Terminal process {pid} ignored the hang-up; killing it", pid=self.pid)
            self._signal_session(signal.SIGKILL)

    def _signal_session(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _set_size(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _find(executable: str) -> str | None:
    for folder in [""] if "/" in executable else PATH.split(":"):
        candidate = os.path.join(folder, executable)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None
