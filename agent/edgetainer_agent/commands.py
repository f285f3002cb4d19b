"""A command of the host, without a terminal: its two outputs stay apart."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger

from edgetainer.tunnel.messages import ExecTarget
from edgetainer_agent.process import STDERR, STDOUT, GroupProcess, signal_number
from edgetainer_agent.program import ProgramListener
from edgetainer_agent.terminal import host_environment

log = Logger()

#: Seconds between asking a command to end and killing it.
KILL_AFTER_S = 2.0
#: Seconds of silence after a command ended that its children may still hold its
#: outputs. A command that starts a daemon would otherwise never be over.
LINGER_S = 2.0


class HostCommand:
    """A command in a process group of its own; a `Program`.

    :raises EdgetainerError: `command_failed` when it cannot be started.
    """

    def __init__(self, *, reactor: Any, target: ExecTarget) -> None:
        self._reactor = reactor
        self._listener: ProgramListener | None = None
        self._result: tuple[int | None, str | None] | None = None
        self._over = False
        # Whether output came or was asked for since the last look.
        self._busy = False
        self._timers: list[IDelayedCall] = []
        self._process = GroupProcess(reactor, self, target.argv, environment=host_environment())
        self._process.pauseProducing()
        self._after(target.timeout_s, self._time_out)

    def start(self, listener: ProgramListener) -> None:
        self._listener = listener
        self._process.resumeProducing()
        self._finish_if_done()

    def write(self, data: bytes) -> None:
        self._process.write(data)

    def close_input(self) -> None:
        self._process.unregisterProducer()
        self._process.close_stdin()

    def register_input(self, producer: IPushProducer) -> None:
        self._process.registerProducer(producer, True)

    def resize(self, columns: int, rows: int) -> None:
        """There is no terminal to resize."""

    def send_signal(self, name: str) -> None:
        number = signal_number(name)
        if number is not None and self._process.running:
            self._process.signal_group(number)

    def hang_up(self) -> None:
        if not self._over:
            self._over = True
            self._end(signal.SIGHUP)

    def pauseProducing(self) -> None:
        self._process.pauseProducing()

    def resumeProducing(self) -> None:
        self._busy = True
        self._process.resumeProducing()

    def stopProducing(self) -> None:
        self.hang_up()

    # What the process says.

    def output_received(self, descriptor: int, data: bytes) -> None:
        self._busy = True
        if self._listener is None or self._over:
            return
        if descriptor == STDOUT:
            self._listener.output(data)
        elif descriptor == STDERR:
            self._listener.error_output(data)

    def output_ended(self, descriptor: int) -> None:
        self._finish_if_done()

    def process_exited(self, code: int | None, signal_name: str | None) -> None:
        self._result = (code, signal_name)
        self._after(LINGER_S, self._stop_lingering)
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._result is None or self._process.open_outputs:
            return
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self._timers.clear()
        if self._listener is not None and not self._over:
            self._over = True
            self._listener.ended(*self._result)

    def _stop_lingering(self) -> None:
        if not self._over and (self._process.paused or self._busy):
            # What the pipes hold may still be the command's own output, and a
            # slow reader may only now be asking for it.
            self._busy = False
            self._after(LINGER_S, self._stop_lingering)
        else:
            self._process.close_outputs()

    def _time_out(self) -> None:
        log.info("Command {pid} reached its time limit", pid=self._process.pid)
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process.running:
            self._process.signal_group(number)
            self._after(KILL_AFTER_S, self._kill)
        elif self._process.open_outputs:
            # Only children are left, and they go on talking.
            self._kill()
            self._process.close_outputs()

    def _kill(self) -> None:
        # The group may outlive the command itself, as what it started does.
        self._process.signal_group(signal.SIGKILL)

    def _after(self, delay: float, function: Any) -> None:
        self._timers.append(self._reactor.callLater(delay, function))
