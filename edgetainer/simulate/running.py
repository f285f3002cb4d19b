"""A program of a simulated device while it runs: time, input and back-pressure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from edgetainer.simulate import programs

#: Bytes of input kept for a program that does not read; more is dropped, as a
#: terminal's own line buffer does (POSIX, MAX_INPUT).
MAX_INPUT = 64 * 1024
#: Seconds between two pieces of output: 16 MB/s, so that one device's `yes` leaves
#: the process to the others.
PIECE_EVERY_S = 0.001


class Run:
    """One program from its start to its end.

    :param output: takes its standard output; `errors` its standard error.
    :param ended: called once with (exit code, signal).
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        program: programs.Program,
        output: Callable[[bytes], None],
        errors: Callable[[bytes], None],
        ended: Callable[[int | None, str | None], None],
    ) -> None:
        self._clock = clock
        self._program = program
        self._output = output
        self._errors = errors
        self._ended = ended
        self._paused = True
        self._over = False
        self._reading = False
        self._input: deque[bytes] = deque()
        self._input_bytes = 0
        self._input_ended = False
        self._timer: IDelayedCall | None = None

    def write(self, data: bytes) -> None:
        """Input."""
        if self._input_bytes + len(data) <= MAX_INPUT:
            self._input.append(data)
            self._input_bytes += len(data)
        self._offer()

    def end_input(self) -> None:
        """No more input follows."""
        self._input_ended = True
        self._offer()

    def pause(self) -> None:
        """Nobody takes output just now."""
        self._paused = True

    def resume(self) -> None:
        """Output is taken again."""
        self._paused = False
        if self._reading:
            self._offer()
        else:
            self._soon()

    def kill(self, signal: str) -> None:
        """End it by a signal."""
        self._finish(None, signal)

    def _soon(self, delay: float = PIECE_EVERY_S) -> None:
        if self._timer is None and not self._over and not self._reading:
            self._timer = self._clock.callLater(delay, self._step)

    def _step(self, given: bytes | None = None) -> None:
        self._timer = None
        if self._over or self._paused:
            return  # `resume` goes on
        try:
            wanted: Any = self._program.send(given)
        except StopIteration as stop:
            self._finish(stop.value, None)
            return
        if wanted is programs.READ:
            self._reading = True
            self._offer()
        elif isinstance(wanted, float):
            self._soon(wanted)
        else:
            (self._errors if isinstance(wanted, programs.Errors) else self._output)(bytes(wanted))
            self._soon()

    def _offer(self) -> None:
        if not self._reading or self._over or self._paused:
            return
        if self._input:
            self._reading = False
            data = self._input.popleft()
            self._input_bytes -= len(data)
            self._step(data)
        elif self._input_ended:
            self._reading = False
            self._soon()

    def _finish(self, code: int | None, signal: str | None) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._program.close()
        self._ended(code, signal)
