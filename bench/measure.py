"""One run: a link, a tunnel over it, the echo before and during a bulk transfer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import figures
from bench.namespaces import End, Machine
from bench.processes import Reports, cpu_s, environment
from bench.profiles import Profile
from bench.stacks import UP_WITHIN_S, Stack, make

#: The bulk's full length, and the part of it that the floors are about, in seconds.
FULL_S, FIRST_S = 60.0, 15.0
#: Length of the first connection of a known path, in seconds: long enough to learn it.
LEARN_S = 15.0
#: Seconds of echo on the idle tunnel: 100 bytes, or 50 in the short form.
IDLE_S, SHORT_IDLE_S = 10.0, 5.0
#: Seconds for what is under way to come out when a process is told to stop.
_DRAIN_S = 150.0


@contextmanager
def kept_logs() -> Iterator[Path]:
    """A folder for the state of a run; if that fails, the logs' last lines are told.

    :raises RuntimeError: the run failed.
    """
    with tempfile.TemporaryDirectory(prefix="edgetainer-bench.") as name:
        folder = Path(name)
        try:
            yield folder
        except (RuntimeError, TimeoutError) as error:
            last = [
                f"{log.stem}: {line}"
                for log in sorted(folder.glob("*.log"))
                for line in log.read_text(errors="replace").splitlines()[-8:]
            ]
            raise RuntimeError("\n".join([str(error), *last])) from error


class Tools:
    """The processes that use the tunnel, the same for every stack."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.service, self._service_reports = self._start("device", "bench.service", stdin=True)
        self._service_reports.until("listening", 30)

    @contextmanager
    def echo(self) -> Iterator[Typist]:
        """The echo, typing from now on."""
        typist = Typist(*self._start("server", "bench.echo", stdin=True))
        try:
            yield typist
        finally:
            self._machine.stop(typist.process)

    def bulk(self, way: str, seconds: float, size: int = 0) -> Bulk:
        """Start one bulk transfer."""
        process, reports = self._start(
            "server", "bench.visitor", way, str(seconds), str(size), stdin=False
        )
        return Bulk(self._machine, process, reports, self._service_reports, way)

    def _start(
        self, end: End, module: str, *arguments: str, stdin: bool
    ) -> tuple[subprocess.Popen[bytes], Reports]:
        process = self._machine.start(
            end,
            [sys.executable, "-P", "-m", module, *arguments],
            env=environment(),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        return process, Reports(process)


class Typist:
    """A running echo."""

    def __init__(self, process: subprocess.Popen[bytes], reports: Reports) -> None:
        self.process = process
        self._reports = reports

    def tell(self, command: str) -> None:
        """Give it a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def started(self) -> None:
        """Wait until the first byte is back."""
        self._reports.until("back", UP_WITHIN_S)

    def back(self, since: float, within_s: float) -> float | None:
        """Seconds from this moment until a byte typed after it was back, or None."""
        self.tell(f"mark {since}")
        try:
            returned: float = self._reports.until("back", within_s)["back"]
        except TimeoutError:
            return None
        return returned - since

    def stop(self) -> dict[str, Any]:
        """Type no more; the report."""
        self.tell("stop")
        return self._reports.until("times", _DRAIN_S)


class Bulk:
    """A running bulk transfer."""

    def __init__(
        self, machine: Machine, process: subprocess.Popen[bytes],
        reports: Reports, service: Reports, way: str,
    ) -> None:  # fmt: skip
        self._machine = machine
        self._process = process
        self._reports = reports
        self._service = service
        self._way = way

    def wait(self, within_s: float) -> dict[str, Any]:
        """ "start" and "took" (a `meter.Transfer`), when it is over."""
        report = self._reports.until("start", within_s)
        if self._way == "down":
            report["took"] = self._service.until("took", _DRAIN_S)["took"]
        self._machine.stop(self._process)
        return report


def measure(
    profile: Profile, stack_name: str, *, seed: int, seconds: float, idle_s: float | None = None
) -> dict[str, Any]:
    """Everything that one run tells, by the names of bench/README.md.

    :param seconds: length of the bulk; figures of longer ones are None.
    :param idle_s: length of the echo before it.
    """
    if idle_s is None:
        idle_s = IDLE_S if seconds >= FULL_S else SHORT_IDLE_S
    with kept_logs() as folder, Machine(seed=seed) as machine:
        machine.set_link(profile.up, profile.down)
        tools = Tools(machine)
        stack = make(stack_name, machine, folder)
        stack.start_server()
        stack.start_device()
        if profile.known_path:
            tools.bulk(profile.bulk, LEARN_S).wait(LEARN_S + _DRAIN_S)
            stack.stop_device()
            stack.start_device()
        return _observe(profile, machine, stack, tools, seconds, idle_s)


def _observe(
    profile: Profile,
    machine: Machine,
    stack: Stack,
    tools: Tools,
    seconds: float,
    idle_s: float,
) -> dict[str, Any]:
    ends: tuple[End, End] = ("server", "device")
    with tools.echo() as echo:
        # The terminal's start, and what piled up behind it, are not the echo.
        echo.started()
        time.sleep(0.2 + 2 * (profile.up.delay_ms + profile.down.delay_ms) / 1e3)
        stack.check()
        idle_from = time.monotonic()
        time.sleep(idle_s)
        before = machine.link.stats()
        cpu_before = {end: cpu_s(stack.pids(end)) for end in ends}
        begin = time.monotonic()
        bulk = tools.bulk(profile.bulk, seconds)
        # Taken before the transfer is torn down: what is under way then would be
        # counted on the wire and never be delivered.
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        over = time.monotonic()
        cpu_after = {end: cpu_s(stack.pids(end)) for end in ends}
        after = machine.link.stats()
        transfer = bulk.wait(_DRAIN_S)
        stack.check()
        typed = echo.stop()
    took = transfer["took"]
    if took["wrong_at"] is not None or typed["wrong"]:
        raise RuntimeError(
            f"{stack.name} delivered wrong bytes on {profile.name}: of the bulk at offset "
            f"{took['wrong_at']}, of the echo {typed['wrong']}"
        )
    start, samples, times = transfer["start"], took["samples"], typed["times"]
    # A sender that has stopped is still to be emptied; that is not the bulk's time.
    samples = [sample for sample in samples if sample[0] <= start + seconds]
    # A moment's grace between the last sample and the counters' reading costs nothing.
    got = figures.bytes_until(samples, over) or None
    wire = {
        way: (after[way]["bytes"] - before[way]["bytes"]) / got if got else None
        for way in ("up", "down")
    }
    back = "down" if profile.bulk == "up" else "up"
    end = start + seconds
    idle = figures.round_trips_ms(times, idle_from, begin, typed["until"])
    loaded = figures.round_trips_ms(times, start, end, typed["until"])
    full = seconds >= FULL_S
    return {
        "seconds": seconds,
        "goodput_mbit": figures.goodput_mbit(samples, start, min(FIRST_S, seconds)),
        "goodput60_mbit": figures.goodput_mbit(samples, start, FULL_S) if full else None,
        "t1mb_s": figures.time_to(samples, start, 1_000_000),
        "t8mb_s": figures.time_to(samples, start, 8_000_000),
        "echo_idle_p50_ms": figures.percentile(idle, 0.5),
        "echo_idle_p95_ms": figures.percentile(idle, 0.95),
        "echo_p50_ms": figures.percentile(loaded, 0.5),
        "echo_p95_ms": figures.percentile(loaded, 0.95),
        "echo_p99_ms": figures.percentile(loaded, 0.99),
        "echo_missing": figures.missing(times, start, end),
        "cpu_server": (cpu_after["server"] - cpu_before["server"]) / (over - begin),
        "cpu_agent": (cpu_after["device"] - cpu_before["device"]) / (over - begin),
        "wire_per_byte": wire[profile.bulk],
        "wire_back_per_byte": wire[back],
        "queue_drops": after[profile.bulk]["dropped"] - before[profile.bulk]["dropped"],
        "reconnects": typed["opened"] - 1,
    }
