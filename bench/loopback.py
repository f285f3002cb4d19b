"""How fast one Channel is when the link is no limit: the cost of a packet.

A real listener and a real dialer, each in its own process, joined by loopback.
Bytes flow from the device to the server through one channel, beside 0, 100 and
1,000 idle ones; then with a TCP hop at both ends, as a visitor of a service has it.
At last, what an idle session costs the server in memory.

    python -m bench.loopback [--seconds 5] [--runs 3] [--idle 0 100 1000] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.processes import ROOT, environment
from bench.results import FOLDER, Row, circumstances, rounded, save
from tests.authority import Authority

IDLE = (0, 100, 1000)
SESSIONS = 500
WARM_UP_S = 2.0

CHANNEL = (
    "{idle_channels:5.0f} idle channels: {mb_per_s:6.1f} MB/s {runs_mb_per_s}, "
    "{packets_per_s:6.0f} packets/s of {bytes_per_packet:.0f} B, "
    "{us_per_packet_server:.1f} us a packet at the server, "
    "{us_per_packet_agent:.1f} at the agent, {acks_per_packet:.3f} answers a packet"
)
TCP = "with TCP at both ends: {mb_per_s:.1f} MB/s"
SESSIONS_LINE = "{sessions} idle sessions: {kb_per_session:.1f} kB each, {idle_cpu:.3f} of a core"


class End:
    """One process that obeys."""

    def __init__(self, kind: str, **arguments: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.loopback_end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=ROOT,
        )
        self.ask(kind, **arguments)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One request and its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"do": do, "with": arguments}), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"an end of the benchmark died at {do!r}")
        return json.loads(answer)

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


class Tunnel:
    """A server's and an agent's process, connected.

    :param devices: how many devices the agent's process is.
    :param feeder: TCP port that the channel leads to; None: a source in the process.
    """

    def __init__(self, devices: int = 1, feeder: int | None = None) -> None:
        authority = Authority()
        leaf = authority.server()
        pem = authority.pem.decode()
        self.server = End(
            "server",
            authority=pem,
            certificate=leaf.certificate_pem.decode(),
            key=leaf.key_pem.decode(),
        )
        self.before = self.server.ask("memory")["rss"]
        clients = [authority.client(f"device-{number}") for number in range(devices)]
        self.agent = End(
            "agent",
            authority=pem,
            port=self.server.ask("port")["port"],
            devices=[[c.certificate_pem.decode(), c.key_pem.decode()] for c in clients],
            hop=feeder,
        )
        self.agent.ask("connect")

    def stop(self) -> None:
        """End both processes."""
        self.agent.stop()
        self.server.stop()


def one_channel(*, idle: int, seconds: float, warm_up: float = WARM_UP_S) -> dict[str, Any]:
    """Bytes from the device to the server, without TCP."""
    tunnel = Tunnel()
    try:
        tunnel.server.ask("idle_channels", number=idle)
        tunnel.server.ask("bulk")
        time.sleep(warm_up)
        server, agent = tunnel.server.ask("count"), tunnel.agent.ask("count")
        time.sleep(seconds)
        server_after, agent_after = tunnel.server.ask("count"), tunnel.agent.ask("count")
    finally:
        tunnel.stop()
    lasted = server_after["clock"] - server["clock"]
    packets = agent_after["packets_out"] - agent["packets_out"]
    acks = server_after["packets_out"] - server["packets_out"]
    received = server_after["received"] - server["received"]
    cpu_server = server_after["cpu"] - server["cpu"]
    cpu_agent = agent_after["cpu"] - agent["cpu"]
    return {
        "idle_channels": idle,
        "mb_per_s": received / lasted / 1e6,
        "packets_per_s": packets / lasted,
        "bytes_per_packet": received / max(packets, 1),
        "acks_per_packet": acks / max(packets, 1),
        "us_per_packet_server": cpu_server / max(packets, 1) * 1e6,
        "us_per_packet_agent": cpu_agent / max(packets, 1) * 1e6,
        "cpu_server": cpu_server / lasted,
        "cpu_agent": cpu_agent / lasted,
    }


def with_tcp(*, seconds: float, warm_up: float = WARM_UP_S) -> dict[str, Any]:
    """The same with TCP at both ends: four processes."""
    feeder = End("feeder")
    tunnel = Tunnel(feeder=feeder.ask("port")["port"])
    try:
        port = tunnel.server.ask("hop")["port"]
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            _read(visitor, warm_up)
            server, agent = tunnel.server.ask("count"), tunnel.agent.ask("count")
            received = _read(visitor, seconds)
            server_after, agent_after = tunnel.server.ask("count"), tunnel.agent.ask("count")
    finally:
        tunnel.stop()
        feeder.stop()
    return {
        "mb_per_s": received / seconds / 1e6,
        "cpu_server": (server_after["cpu"] - server["cpu"]) / seconds,
        "cpu_agent": (agent_after["cpu"] - agent["cpu"]) / seconds,
    }


def _read(visitor: socket.socket, seconds: float) -> int:
    end = time.monotonic() + seconds
    received = 0
    while time.monotonic() < end:
        received += len(visitor.recv(1 << 20))
    return received


def idle_sessions(number: int, settle: float = WARM_UP_S) -> dict[str, Any]:
    """Resident memory of the server for each session on which nothing happens."""
    tunnel = Tunnel(devices=number)
    try:
        sessions = tunnel.server.ask("count")["sessions"]
        time.sleep(settle)
        grown = tunnel.server.ask("memory")["rss"] - tunnel.before
        cpu = tunnel.server.ask("usage")["cpu"]
        time.sleep(settle)
        idle_cpu = (tunnel.server.ask("usage")["cpu"] - cpu) / settle
    finally:
        tunnel.stop()
    return {"sessions": sessions, "kb_per_session": grown / sessions / 1e3, "idle_cpu": idle_cpu}


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure, so of runs that need not be the same."""
    return rounded({key: median(run[key] for run in runs) for key in runs[0]})


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--idle", type=int, nargs="*", default=list(IDLE))
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--tcp", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--warm-up", type=float, default=WARM_UP_S)
    parser.add_argument("--output", type=Path, default=FOLDER / "loopback.json")
    options = parser.parse_args(arguments)

    said = sys.argv[1:] if arguments is None else arguments
    common = circumstances("bench.loopback", said)
    timing = {"seconds": options.seconds, "warm_up": options.warm_up}
    rows: list[Row] = []

    def tell(what: str, row: Row, line: str) -> None:
        rows.append({"what": what, **row, **common})
        print(line.format(**row), flush=True)
        save(options.output, rows)

    for idle in options.idle:
        runs = [one_channel(idle=idle, **timing) for _ in range(options.runs)]
        each = [round(run["mb_per_s"], 1) for run in runs]
        tell("one channel", medians(runs) | {"runs_mb_per_s": each}, CHANNEL)
    if options.tcp:
        runs = [with_tcp(**timing) for _ in range(options.runs)]
        tell("one channel between TCP connections", medians(runs), TCP)
    if options.sessions:
        tell(
            "idle sessions",
            rounded(idle_sessions(options.sessions, options.warm_up)),
            SESSIONS_LINE,
        )


if __name__ == "__main__":
    main()
