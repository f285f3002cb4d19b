"""How soon the tunnel is back after what goes wrong: `python -m bench.recovery`, as root.

See README.md for the events and what is measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import namespaces, places, results
from bench.figures import median, round_trips_ms
from bench.measure import Tools, Typist, kept_logs
from bench.namespaces import Machine
from bench.profiles import PROFILES
from bench.results import Row
from bench.stacks import STACKS, Stack, make
from bench.tunnel import names

OUTPUT = results.FOLDER / "recovery.json"
LINK = PROFILES["clean"]
#: Seconds until a tunnel that is not back is given up.
LIMIT_S = 240.0
#: Seconds after which ssh is started again when it has ended, as a service manager does.
AGAIN_S = 1.0
#: Seconds without a byte before something happens to an idle tunnel, and from then until
#: somebody types: the device must notice by itself.
IDLE_S, UNNOTICED_S = 5.0, 0.2
#: Seconds after the return in which the worst echo is looked for.
AFTER_S = 5.0
#: Bytes of the transfer with rebindings, and seconds between these: at 20 Mbit/s it
#: lasts 16 s, so all ten fall into it.
TRANSFER, REBIND_EVERY_S, REBINDINGS = 40_000_000, 1.2, 10
#: Seconds after which a transfer that has not ended by itself counts as broken.
TRANSFER_LIMIT_S = 90.0


@dataclass(frozen=True)
class Scene:
    """A tunnel with the echo running over it."""

    machine: Machine
    stack: Stack
    tools: Tools
    echo: Typist


@dataclass(frozen=True)
class Event:
    """Something that goes wrong.

    :param happen: lets it happen; returns since when the tunnel could be back.
    :param aim_s: seconds that it should take.
    """

    happen: Callable[[Scene], float]
    aim_s: float
    idle: bool = False
    slow: bool = False


def outage(seconds: float) -> Callable[[Scene], float]:
    """The link is down for so long."""

    def happen(scene: Scene) -> float:
        scene.machine.link.link(up=False)
        time.sleep(seconds)
        scene.machine.link.link(up=True)
        return time.monotonic()

    return happen


def move(scene: Scene) -> float:
    """The device gets another address."""
    moment = time.monotonic()
    scene.machine.move_device(places.DEVICE_MOVED)
    return moment


def restart(scene: Scene) -> float:
    """The server is killed and started again; from the moment that it listens."""
    scene.stack.kill_server()
    scene.stack.start_server()
    return time.monotonic()


EVENTS: dict[str, Event] = {
    "outage-10": Event(outage(10), 0.5),
    "outage-60": Event(outage(60), 1.5),
    "outage-600": Event(outage(600), 2.5, slow=True),
    "address": Event(move, 0.5),
    "address-idle": Event(move, 0.5, idle=True),
    "restart": Event(restart, 2.0),
}
#: The transfer with rebindings has no moment to come back from.
REBIND = "rebind"


def measure(event: str, stack_name: str, *, seed: int, limit_s: float = LIMIT_S) -> Row:
    """One event, or the transfer, on one stack."""
    with kept_logs() as folder, Machine(seed=seed) as machine:
        machine.set_link(LINK.up, LINK.down)
        machine.link.nat(on=event == REBIND)
        tools = Tools(machine)
        stack = make(stack_name, machine, folder, again_s=AGAIN_S)
        stack.start_server()
        stack.start_device()
        with tools.echo() as echo:
            echo.started()
            time.sleep(1)
            stack.check()
            scene = Scene(machine, stack, tools, echo)
            if event == REBIND:
                return rebind(scene)
            return come_back(scene, EVENTS[event], limit_s)


def come_back(scene: Scene, event: Event, limit_s: float) -> Row:
    """Let the event happen; when a byte typed after it is back, and the worst one then."""
    if event.idle:
        scene.echo.tell("pause")
        time.sleep(IDLE_S)
    began = time.monotonic()
    since = event.happen(scene)
    if event.idle:
        time.sleep(UNNOTICED_S)
        scene.echo.tell("resume")
    back_s = scene.echo.back(since, limit_s)
    if back_s is not None:
        time.sleep(AFTER_S)
    typed = scene.echo.stop()
    until = time.monotonic() if back_s is None else since + back_s + AFTER_S
    trips = round_trips_ms(typed["times"], since, until, typed["until"])
    return {
        "back_s": back_s,
        "limit_s": limit_s,
        "event_s": since - began,
        "worst_echo_ms": max(trips) if back_s is not None and trips else None,
        "terminals": typed["opened"],
        "wrong": typed["wrong"],
    }


def rebind(scene: Scene) -> Row:
    """A transfer in which the NAT forgets the device ten times."""
    bulk = scene.tools.bulk("up", TRANSFER_LIMIT_S, TRANSFER)
    for _ in range(REBINDINGS):
        time.sleep(REBIND_EVERY_S)
        scene.machine.link.rebind()
    took = bulk.wait(2 * TRANSFER_LIMIT_S)["took"]
    typed = scene.echo.stop()
    stats = scene.machine.link.stats()
    return {
        "rebinds": stats["rebinds"],
        "bytes": took["total"],
        "complete": took["total"] == TRANSFER and took["wrong_at"] is None,
        "wrong_at": took["wrong_at"],
        "ended": took["ended"],
        "longest_gap_s": took["longest_gap_s"],
        "seconds": took["samples"][-1][0] - took["samples"][0][0],
        "terminals": typed["opened"],
        "wrong": typed["wrong"],
    }


def table(rows: Sequence[Row]) -> str:
    """Markdown: seconds until each stack is back (all runs), beside the aim. Pure."""
    lines = [
        "| event | aim s | " + " | ".join(STACKS) + " | ours |",
        "| --- " * (3 + len(STACKS)) + "|",
    ]
    for name, event in EVENTS.items():
        of = {stack: _rows(rows, name, stack) for stack in STACKS}
        if any(of.values()):
            cells = [" / ".join(map(_seconds, of[stack])) or "-" for stack in STACKS]
            mine = median(row["back_s"] for row in of["ours"])
            verdict = "" if not of["ours"] else "MISS"
            if mine is not None and all(row["back_s"] is not None for row in of["ours"]):
                verdict = "pass" if mine <= event.aim_s else "MISS"
            lines.append(f"| {name} | {event.aim_s} | {' | '.join(cells)} | {verdict} |")
    of = {stack: _rows(rows, REBIND, stack) for stack in STACKS}
    if any(of.values()):
        cells = [" / ".join(map(_transfer, of[stack])) or "-" for stack in STACKS]
        whole = all(row["complete"] for row in of["ours"])
        verdict = ("pass" if whole else "MISS") if of["ours"] else ""
        lines.append(f"| {REBIND} | whole | {' | '.join(cells)} | {verdict} |")
    return "\n".join(lines)


def _rows(rows: Sequence[Row], event: str, stack: str) -> list[Row]:
    return [row for row in rows if row["event"] == event and row["stack"] == stack]


def _seconds(row: Row) -> str:
    return f">{row['limit_s']:.0f}" if row["back_s"] is None else f"{row['back_s']:.2f}"


def _transfer(row: Row) -> str:
    if row["complete"]:
        return f"whole, longest gap {row['longest_gap_s']:.2f}"
    return f"broken at {row['bytes'] / 1e6:.1f} MB"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    known = [*EVENTS, REBIND]
    parser = argparse.ArgumentParser(prog="python -m bench.recovery", description=__doc__)
    parser.add_argument("--events", type=lambda text: names(text, known), default="")
    parser.add_argument("--stacks", type=lambda text: names(text, STACKS), default="")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of the first run's link")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds to wait")
    parser.add_argument("--long", action="store_true", help="the slow events too, unless named")
    parser.add_argument("--resume", action="store_true", help="skip the runs that are there")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    if options.events == known and not options.long:
        options.events = [name for name in known if name == REBIND or not EVENTS[name].slow]
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write down; 1 if something could not be measured."""
    options = parse(arguments)
    if lacking := namespaces.missing():
        print(f"bench.recovery: {lacking}", file=sys.stderr)
        return 1
    rows = results.load(options.output)
    keys: list[dict[str, Any]] = [
        {"event": event, "stack": stack, "run": run}
        for event in options.events
        for run in range(1, options.runs + 1)
        for stack in options.stacks
    ]
    around = results.circumstances("bench.recovery", arguments)
    failed = 0
    for key in results.missing(rows, keys) if options.resume else keys:
        name = " ".join(map(str, key.values()))
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
        try:
            figures = measure(key["event"], key["stack"], seed=options.seed + key["run"] - 1,
                              limit_s=options.limit)  # fmt: skip
        except RuntimeError as error:
            failed += 1
            rows = results.without(rows, key)
            print(f"{name}: {error}", file=sys.stderr)
            continue
        rows = results.put(rows, results.rounded({**key, **figures, **around}), key)
        results.save(options.output, rows)
    print(table([row for row in rows if any(results.same(row, key) for key in keys)]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
