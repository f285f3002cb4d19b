"""A terminal on a simulated device: a `Program` as the agent's channels know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from edgetainer.simulate import programs
from edgetainer.simulate.running import MAX_INPUT, Run
from edgetainer.tunnel.messages import TerminalTarget
from edgetainer_agent.program import ProgramListener

INTERRUPT, END, ERASE = b"\x03", b"\x04", (b"\x08", b"\x7f")


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
