"""A thousand idle sessions, and a server that is killed: `make bench-thousand`.

The server is one process of its own; the devices are simulated ones
(`edgetainer.simulate`), all in this process, behind one address as behind a
carrier's NAT. The server is killed with SIGKILL and started again at once. A device
is back when the new server has accepted its session.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from bench.reactor import install
from bench.results import FOLDER, save
from tests.server_process import ServerProcess

#: Seconds in which all shall be back.
BACK_WITHIN_S = 60.0
#: Seconds of rest over which idle figures are taken.
REST_S = 20.0
#: Seconds that everything may take at most; then what there is is written.
GIVE_UP_S = 300.0
#: Seconds after the last is back in which heartbeats still count.
AFTER_S = 12.0


class Meter:
    """CPU seconds and memory of one process."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    @property
    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @property
    def rss(self) -> int:
        """Resident bytes."""
        return int(self._process.memory_info().rss)


async def measure(reactor: Any, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One run."""
    from twisted.internet.task import deferLater
    from twisted.internet.threads import deferToThread

    from edgetainer.simulate.fleet import Options, SimulatedFleet
    from edgetainer_agent.enrol import https_client

    count = options.devices
    server = ServerProcess(
        folder / "server",
        port=options.port,
        heartbeat_s=options.heartbeat_s,
        log_level=options.log_level,
    )
    now = reactor.seconds

    async def until(condition: Any) -> float | None:
        """The moment it became true; None if it did not."""
        end = now() + GIVE_UP_S
        while not condition():
            if now() > end:
                return None
            await deferLater(reactor, 0.05)
        return float(now())

    await deferToThread(server.start)
    fleet = None
    try:
        enrolled = (folder / "devices").exists()
        token = await deferToThread(server.token, count)
        meter, mine = Meter(server.pid), Meter(psutil.Process().pid)
        empty, my_empty = meter.rss, mine.rss
        fleet = SimulatedFleet(
            reactor=reactor,
            options=Options(
                state_dir=folder / "devices",
                devices=count,
                server_url=server.url,
                token=token,
                seed=options.seed,
            ),
            http=https_client(reactor, server.ca_file),
        )
        counts, waits = fleet.figures.counts, fleet.figures.waits
        begun = now()
        await fleet.start()
        up = await until(lambda: fleet.connected == count)
        result: dict[str, Any] = {
            "devices": count,
            "heartbeat_s": options.heartbeat_s,
            "seed": options.seed,
            "enrolled_before": enrolled,
            "up_s": None if up is None else round(up - begun, 2),
            "server_cpu_bring_up_s": round(meter.cpu_s, 2),
        }
        if options.only_enrol:
            return result
        await deferLater(reactor, 3)
        cpu, mark = meter.cpu_s, now()
        del waits[:]
        await deferLater(reactor, REST_S)
        result["idle_server_cpu_percent"] = round(100 * (meter.cpu_s - cpu) / (now() - mark), 1)
        result["idle_heartbeat_most_ms"] = most(waits)
        result["server_rss_per_session_kb"] = round((meter.rss - empty) / count / 1024, 1)
        result["device_rss_kb"] = round((mine.rss - my_empty) / count / 1024, 1)

        before, dropped = counts["connected"], counts["disconnected"]
        del waits[:]
        killed = now()
        server.kill()
        server.start(wait=False)
        meter = Meter(server.pid)
        curve: dict[str, float | None] = {}
        for name, share in (("first", 0.0), ("half", 0.5), ("most", 0.95), ("all", 1.0)):
            wanted = before + max(1, int(share * count))
            at = await until(lambda wanted=wanted: counts["connected"] >= wanted)
            curve[name] = None if at is None else round(at - killed, 2)
        everyone = await until(lambda: fleet.connected == count)
        result["back_s"] = curve
        result["all_online_s"] = None if everyone is None else round(everyone - killed, 2)
        result["server_cpu_until_back_s"] = round(meter.cpu_s, 2)
        await deferLater(reactor, AFTER_S)
        # Counted once devices were back: those asked of the dead server were lost.
        result["heartbeats_after_kill"] = len(waits)
        result["heartbeat_most_ms"] = most(waits)
        result["heartbeat_p99_ms"] = most(waits, 0.99)
        result["reconnects"] = counts["connected"] - before
        result["lost_sessions"] = counts["disconnected"] - dropped
        result["failed_rounds"] = counts["failed_rounds"]
        result["half_open_dropped"] = server.log.count("too much is under way")
        return result
    finally:
        if fleet is not None:
            await fleet.stop()
        await deferToThread(server.stop)


def most(waits: list[tuple[float, float]], share: float = 1.0) -> float | None:
    """The largest wait, or the one below which this share lies, in milliseconds."""
    ordered = sorted(wait for _, wait in waits)
    if not ordered:
        return None
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


def main() -> int:
    """Run it and write the result; 1 if not all were back in time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--heartbeat-s", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-level", default="warn")
    parser.add_argument("--folder", type=Path, help="keep server and devices enrolled here")
    # Enrolled devices keep the server's address, so that --folder needs a fixed port.
    parser.add_argument("--port", type=int, help="HTTPS port (a free one)")
    parser.add_argument("--only-enrol", action="store_true", help="for a later run with --folder")
    parser.add_argument("--results", type=Path, default=FOLDER / "thousand.json")
    options = parser.parse_args()
    from edgetainer.simulate.main import SPARE_FILES, allow_files

    allow_files(options.devices + SPARE_FILES)
    reactor = install()
    from twisted.internet.defer import Deferred

    outcome: list[dict[str, Any]] = []

    def over(failure: Any) -> None:
        if failure is not None:
            failure.printTraceback(file=sys.stderr)
        reactor.stop()

    with tempfile.TemporaryDirectory() as folder:
        reactor.callWhenRunning(
            lambda: (
                Deferred.fromCoroutine(measure(reactor, options.folder or Path(folder), options))
                .addCallback(outcome.append)
                .addBoth(over)
            )
        )
        reactor.run()
    if not outcome:
        return 1
    [result] = outcome
    if not options.only_enrol:
        save(options.results, [result])
    for name, value in result.items():
        print(f"{name:28} {value}")
    back = result.get("back_s", {"all": 0.0})["all"]
    return 0 if back is not None and back <= BACK_WITHIN_S else 1


if __name__ == "__main__":
    sys.exit(main())
