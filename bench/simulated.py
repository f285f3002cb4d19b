"""The controller on every profile's link, on a fake clock: goodput and queue in a minute.

python -m bench.simulated [SECONDS]

Bulk only, upwards, without encryption, streams or the hosts' own time: what is left is
congestion control, pacing and recovery. The queue is sampled each 50 ms; it is what an
echo would wait besides the idle round trip. Seeds are printed.
"""

from __future__ import annotations

import sys

from bench.profiles import PROFILES, Link
from edgetainer.quic.path_model import PathModel
from tests.events import Events
from tests.link import IP_UDP, Path
from tests.link import Link as Simulated
from tests.quic.flow import HEADERS, Flow

DATAGRAM = 1200
STEP_S = 0.05


def simulate(up: Link, down: Link, *, seconds: float, known: bool, seed: int) -> str:
    """One run; a line of the table."""
    link = Simulated(path(up), path(down), seed=seed)
    events = Events()
    flow = Flow(events, link.up, link.down, rtt=link.rtt, datagram=DATAGRAM)
    if known:
        flow.controller.start_from(PathModel(up.rate_mbit * 125_000 * (1 - up.loss), link.rtt))
    waits = []
    for step in range(int(seconds / STEP_S)):
        events.run((step + 1) * STEP_S)
        waits.append(1000 * link.up.backlog(events.now))
    waits.sort()
    goodput = flow.rate(0.0, seconds) / 1e6
    most = up.rate_mbit * (1 - up.loss) * (DATAGRAM - HEADERS) / (DATAGRAM + IP_UDP)
    middle, high = waits[len(waits) // 2], waits[int(0.95 * len(waits))]
    return f"{goodput:8.2f} {100 * goodput / most:6.1f} {middle:9.1f} {high:9.1f}"


def path(link: Link) -> Path:
    """The emulator's parameters as the simulation has them."""
    bursts = (link.burst_enter, link.burst_leave) if link.burst_enter else None
    return Path(
        rate=link.rate_mbit * 1e6,
        delay=link.delay_ms / 1000,
        jitter=link.jitter_ms / 1000,
        queue=link.queue_ms / 1000,
        loss=link.loss,
        bursts=bursts,
        late=link.late,
        late_by=link.late_by_ms / 1000,
    )


def main(seconds: float) -> None:
    """Print the table: every profile but the local network, where the hosts are what counts."""
    lines = []
    for name, profile in PROFILES.items():
        if name == "lan":
            continue
        up, down = profile.up, profile.down
        if profile.bulk == "down":
            up, down = down, up
        line = simulate(up, down, seconds=seconds, known=profile.known_path, seed=1)
        floor = f"{profile.floor.goodput_mbit:6.2f} {profile.floor.aim_mbit:6.2f}"
        lines.append(f"{name:10} {line} {floor}")
    print(
        f"{'profile':10} {'Mbit/s':>8} {'% most':>6} {'queue p50':>9} {'p95, ms':>9}  floor    aim"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 15.0)
