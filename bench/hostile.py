"""Peers that misbehave, at length: `make soak-hostile` writes results/hostile.json.

The long form of `tests/faults`, on the same network in memory: each attack with many
packets, and a million mutated datagrams. Memory is the resident size of this process,
in which both ends and the network live; times are of the server's and the attacker's
CPU together. A logged failure ends it with status 1.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from twisted.logger import globalLogPublisher

from bench.results import FOLDER, Row, rounded, save
from tests.faults.attacks import ATTACKS, Attack, mutated
from tests.faults.hostile import connected
from tests.faults.test_hostile import Scene
from tests.network import SERVER

MIB = 1024 * 1024


def rss() -> float:
    """MiB of this process."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / MIB


def attacked(attack: Attack, packets: int, seed: int) -> Row:
    """One attack on a fresh server; the attacker comes again when it is thrown out."""
    scene = Scene(seed)
    hostile = connected(scene.network)
    before, began, thrown_out, most = rss(), time.process_time(), 0, 0.0
    payloads = itertools.islice(attack(scene.chance), packets)
    for number, payload in enumerate(payloads, 1):
        if hostile.closed is not None:
            thrown_out += 1
            if thrown_out > 20:
                break
            hostile = connected(scene.network, port=1000 + thrown_out)
        hostile.frames(payload)
        if number % 20 == 0:
            scene.network.pass_time(0.02)
        if number % 2000 == 0:
            most = max(most, rss() - before)
    cpu = time.process_time() - began
    scene.network.pass_time(1)
    most = max(most, rss() - before)
    scene.check_honest()
    return {
        "attack": attack.__name__,
        "packets": number,
        "thrown_out": thrown_out,
        "us_per_packet_both_ends": 1e6 * cpu / number,
        "memory_most_mib": most,
    }


def noise(count: int, seed: int) -> Row:
    """Mutated datagrams to one server that goes on serving."""
    scene = Scene(seed)
    seen: list[tuple[bytes, Any]] = []

    def note(data: bytes, source: Any, destination: Any) -> bool:
        if destination == SERVER:
            seen.append((data, source))
        return True

    scene.network.filter = note
    connected(scene.network)
    scene.network.run(scene.honest.request("GET", "/nothing"))
    scene.network.filter = None
    before, began, most, half_open = rss(), time.process_time(), 0.0, 0
    for number in range(1, count + 1):
        datagram, source = scene.chance.choice(seen)
        other, _ = scene.chance.choice(seen)
        bad = mutated(datagram, other, scene.chance)
        if bad:
            scene.server.datagram_received(bad, source)
        if number % 100 == 0:
            scene.network.pass_time(0.01)
            half_open = max(half_open, len(scene.server._half_open))
        if number % 20_000 == 0:
            most = max(most, rss() - before)
            scene.check_honest()
    return {
        "attack": "mutated datagrams",
        "seed": seed,
        "packets": count,
        "us_per_packet": 1e6 * (time.process_time() - began) / count,
        "half_open_most": half_open,
        "memory_most_mib": max(most, rss() - before),
    }


def main() -> int:
    """Run all; 1 if a failure was logged."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packets", type=int, default=20_000, help="of each attack (20000)")
    parser.add_argument("--datagrams", type=int, default=1_000_000, help="mutated ones (1000000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=FOLDER / "hostile.json")
    options = parser.parse_args()
    failures: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        if event.get("log_failure") is not None:
            failures.append(event["log_failure"].getTraceback())

    globalLogPublisher.addObserver(observe)
    print(f"seed {options.seed}")
    rows: list[Row] = []
    for attack in ATTACKS:
        rows.append(rounded(attacked(attack, options.packets, options.seed)))
        print(rows[-1], flush=True)
        save(options.results, rows)
    rows.append(rounded(noise(options.datagrams, options.seed)))
    print(rows[-1], flush=True)
    save(options.results, rows)
    for failure in failures[:3]:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
