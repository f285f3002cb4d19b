"""A command on a simulated device: a `Program` as the agent's channels know them."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from edgetainer.simulate import programs
from edgetainer.simulate.running import Run
from edgetainer.tunnel.messages import ExecTarget
from edgetainer_agent.program import ProgramListener


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
