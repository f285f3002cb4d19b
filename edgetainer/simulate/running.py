"""Running programs: as a command, and typed at a terminal.

Both are `Program`s as the agent's channels know them, so what travels is framed,
paused and ended by the agent's own code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from edgetainer.simulate import programs
from edgetainer.tunnel.messages import ExecTarget, TerminalTarget
from edgetainer_agent.program import ProgramListener

#: Bytes of input kept for a program that does not read; more is dropped, as a
#: terminal's own line buffer does (POSIX, MAX_INPUT).
MAX_INPUT = 64 * 1024
#: Seconds between two pieces of output: 16 MB/s, so that one device's `yes` leaves
#: the process to the others.
PIECE_EVERY_S = 0.001
INTERRUPT, END, ERASE = b"\x03", b"\x04", (b"\x08", b"\x7f")


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
        self._input_ended = False
        self._timer: IDelayedCall | None = None

    def write(self, data: bytes) -> None:
        """Input."""
        if sum(map(len, self._input)) + len(data) <= MAX_INPUT:
            self._input.append(data)
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
            self._step(self._input.popleft())
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


class SimulatedCommand:
    """A command without a terminal; a `Program` of the agent's channels."""

    def __init__(self, *, clock: IReactorTime, target: ExecTarget) -> None:
        self._clock = clock
        self._target = target
        self._run: Run | None = None
        self._early: list[bytes] = []
        self._limit: IDelayedCall | None = None

    def start(self, listener: ProgramListener) -> None:
        def ended(code: int | None, signal: str | None) -> None:
            if self._limit is not None and self._limit.active():
                self._limit.cancel()
            listener.ended(code, signal)

        self._run = Run(
            clock=self._clock,
            program=programs.program(list(self._target.argv)),
            output=listener.output,
            errors=listener.error_output,
            ended=ended,
        )
        self._limit = self._clock.callLater(self._target.timeout_s, self._run.kill, "TERM")
        self._run.resume()

    def write(self, data: bytes) -> None:
        assert self._run is not None
        self._run.write(data)

    def close_input(self) -> None:
        assert self._run is not None
        self._run.end_input()

    def register_input(self, producer: Any) -> None:
        """Input is bounded by dropping it; see `MAX_INPUT`."""

    def resize(self, columns: int, rows: int) -> None:
        """There is no terminal to resize."""

    def send_signal(self, name: str) -> None:
        if self._run is not None and name in ("INT", "TERM", "KILL", "HUP", "QUIT"):
            self._run.kill(name)

    def hang_up(self) -> None:
        if self._run is not None:
            self._run.kill("HUP")

    def pauseProducing(self) -> None:
        if self._run is not None:
            self._run.pause()

    def resumeProducing(self) -> None:
        if self._run is not None:
            self._run.resume()

    def stopProducing(self) -> None:
        self.hang_up()


class SimulatedTerminal:
    """A shell at a terminal: echoes what is typed, edits the line, runs it.

    What a person types is echoed at once, as a terminal in cooked mode does; Ctrl-C
    ends what runs, Ctrl-D on an empty line (or `exit`) the shell.

    :param name: the device's, for the prompt.
    """

    def __init__(self, *, clock: IReactorTime, target: TerminalTarget, name: str) -> None:
        self._clock = clock
        self._command = list(target.command)
        self._prompt = f"{name}$ ".encode()
        self._listener: ProgramListener | None = None
        self._run: Run | None = None
        self._line = b""
        self._paused = False
        self._over = False

    def start(self, listener: ProgramListener) -> None:
        self._listener = listener
        if self._command:
            self._begin(programs.program(self._command), self._finish)
        else:
            self._show(self._prompt)

    def write(self, data: bytes) -> None:
        for byte in (data[at : at + 1] for at in range(len(data))):
            if not self._over:
                self._typed(byte)

    def close_input(self) -> None:
        """Terminals have no end of input but Ctrl-D."""

    def register_input(self, producer: Any) -> None:
        """Input is bounded by dropping it; see `MAX_INPUT`."""

    def resize(self, columns: int, rows: int) -> None:
        """Nothing here depends on the size."""

    def send_signal(self, name: str) -> None:
        if self._run is not None:
            self._run.kill(name)
        elif name in ("HUP", "TERM", "KILL"):
            self._finish(None, name)

    def hang_up(self) -> None:
        self._over = True
        if self._run is not None:
            self._run.kill("HUP")

    def pauseProducing(self) -> None:
        self._paused = True
        if self._run is not None:
            self._run.pause()

    def resumeProducing(self) -> None:
        self._paused = False
        if self._run is not None:
            self._run.resume()

    def stopProducing(self) -> None:
        self.hang_up()

    def _typed(self, byte: bytes) -> None:
        if byte == INTERRUPT:
            self._line = b""
            self._show(b"^C\n")
            if self._run is not None:
                self._run.kill("INT")
            else:
                self._show(self._prompt)
        elif byte in (b"\r", b"\n"):
            self._show(b"\n")
            line, self._line = self._line, b""
            self._entered(line)
        elif byte == END and not self._line:
            if self._run is not None:
                self._run.end_input()
            else:
                self._finish(0, None)
        elif byte in ERASE:
            if self._line:
                self._line = self._line[:-1]
                self._show(b"\b \b")
        elif len(self._line) < MAX_INPUT:
            self._line += byte
            self._show(byte)

    def _entered(self, line: bytes) -> None:
        if self._run is not None:
            self._run.write(line + b"\n")
            return
        text = line.decode("utf-8", "replace").strip()
        if text.partition(" ")[0] == "exit":
            self._begin(programs.parsed(text), self._finish)
        elif text:
            self._begin(programs.parsed(text), self._ended)
        else:
            self._show(self._prompt)

    def _begin(
        self, program: programs.Program, ended: Callable[[int | None, str | None], None]
    ) -> None:
        def over(code: int | None, signal: str | None) -> None:
            self._run = None
            ended(code, signal)

        self._run = Run(
            clock=self._clock, program=program, output=self._show, errors=self._show, ended=over
        )
        if not self._paused:
            self._run.resume()

    def _ended(self, code: int | None, signal: str | None) -> None:
        if not self._over:
            self._show(self._prompt)

    def _finish(self, code: int | None, signal: str | None) -> None:
        if not self._over and self._listener is not None:
            self._over = True
            self._listener.ended(code, signal)

    def _show(self, data: bytes) -> None:
        if self._listener is not None and not self._over:
            # As a terminal's output processing does (POSIX, ONLCR).
            self._listener.output(data.replace(b"\n", b"\r\n"))
