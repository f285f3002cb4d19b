"""A process in a session of its own, its pipes joined to the reactor.

Twisted's `spawnProcess` cannot start a process group, and without one a time
limit could only kill the shell and not what the shell started. So this uses
`posix_spawn` with SETSID (safe beside threads, unlike code between fork and
exec) and lets Twisted's own pipe readers and writer do the rest.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.process import (
    ProcessReader,
    ProcessWriter,
    registerReapProcessHandler,
    unregisterReapProcessHandler,
)

from edgetainer.errors import EdgetainerError

STDIN, STDOUT, STDERR = 0, 1, 2
#: Every signal a child starts with the default for, whatever we inherited: a
#: service started in the background ignores SIGINT, its children must not.
_RESET = sorted(set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP})


class ProcessListener(Protocol):
    """Who hears what a `GroupProcess` does."""

    def output_received(self, descriptor: int, data: bytes) -> None:
        """Bytes from `STDOUT` or `STDERR`."""

    def output_ended(self, descriptor: int) -> None:
        """No more bytes from that descriptor."""

    def process_exited(self, code: int | None, signal_name: str | None) -> None:
        """The process was reaped; its children may still hold its pipes."""


class GroupProcess:
    """One running process and everything it starts; a push producer of output.

    :raises EdgetainerError: `command_failed` when it cannot be started.
    """

    def __init__(
        self,
        reactor: Any,
        listener: ProcessListener,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
    ) -> None:
        self._listener = listener
        self.running = True
        stdin, stdout, stderr = os.pipe(), os.pipe(), os.pipe()
        children = {STDIN: stdin[0], STDOUT: stdout[1], STDERR: stderr[1]}
        ours = {STDIN: stdin[1], STDOUT: stdout[0], STDERR: stderr[0]}
        try:
            self.pid = os.posix_spawnp(
                argv[0],
                list(argv),
                dict(environment),
                file_actions=[(os.POSIX_SPAWN_DUP2, end, name) for name, end in children.items()],
                setsid=True,
                setsigdef=_RESET,
                setsigmask=[],
            )
        except (OSError, ValueError) as error:
            for end in ours.values():
                os.close(end)
            why = getattr(error, "strerror", None) or str(error)
            raise EdgetainerError("command_failed", f"cannot start {argv[0]}: {why}") from error
        finally:
            for end in children.values():
                os.close(end)
        fd_set = IReactorFDSet(reactor)
        self._stdin: ProcessWriter | None = ProcessWriter(fd_set, self, STDIN, ours[STDIN])
        self._outputs: dict[int, ProcessReader] = {
            name: ProcessReader(fd_set, self, name, ours[name]) for name in (STDOUT, STDERR)
        }
        self._paused = False
        # Not now: a process that is over already would report to a listener
        # that has not been given this object yet.
        reactor.callLater(0, registerReapProcessHandler, self.pid, self)

    # Output: a streaming push producer (IPushProducer).

    @property
    def paused(self) -> bool:
        """Whether the consumer asked for no more output."""
        return self._paused

    def pauseProducing(self) -> None:
        self._paused = True
        for output in self._outputs.values():
            output.stopReading()

    def resumeProducing(self) -> None:
        self._paused = False
        for output in self._outputs.values():
            output.startReading()

    def stopProducing(self) -> None:
        self.close_outputs()

    def close_outputs(self) -> None:
        """Stop listening to output; who still writes gets SIGPIPE."""
        for output in list(self._outputs.values()):
            output.loseConnection()

    @property
    def open_outputs(self) -> int:
        """How many of stdout and stderr may still bring bytes."""
        return len(self._outputs)

    # Input: an IConsumer.

    def write(self, data: bytes) -> None:
        """Bytes for stdin; lost when it is closed, as in any pipe."""
        if self._stdin is not None:
            self._stdin.write(data)

    def close_stdin(self) -> None:
        """End of input, once what was written is delivered."""
        if self._stdin is not None:
            self._stdin.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._stdin is not None:
            self._stdin.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        if self._stdin is not None:
            self._stdin.unregisterProducer()

    # Control.

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and all of its group that still live."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    # Called by the pipe helpers and the reaper.

    def childDataReceived(self, name: int, data: bytes) -> None:
        self._listener.output_received(name, data)

    def childConnectionLost(self, name: int, reason: Any) -> None:
        if name == STDIN:
            if self._stdin is not None:
                stdin, self._stdin = self._stdin, None
                os.close(stdin.fd)
            return
        output = self._outputs.pop(name)
        os.close(output.fd)
        self._listener.output_ended(name)

    def reapProcess(self) -> None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            # Someone else reaped it: its status is lost, and is not "all went well".
            unregisterReapProcessHandler(self.pid, self)
            self.running = False
            self._listener.process_exited(None, None)
            return
        if pid:
            unregisterReapProcessHandler(self.pid, self)
            self.processEnded(status)

    def processEnded(self, status: int) -> None:
        self.running = False
        if os.WIFSIGNALED(status):
            self._listener.process_exited(None, signal_name(os.WTERMSIG(status)))
        else:
            self._listener.process_exited(os.waitstatus_to_exitcode(status), None)


def signal_name(number: int) -> str:
    """`INT` for 2, and so on; real-time signals are `RT` and their number."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"RT{number}"


def signal_number(name: str) -> int | None:
    """The inverse, for the names that a terminal may send; None if unknown."""
    try:
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]
    except KeyError:
        return None
