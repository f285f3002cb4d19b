"""The tunnel beside OpenSSH on bad links: `python -m bench.tunnel`, as root.

See README.md for what is measured and how.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import namespaces, report, results
from bench.measure import FULL_S, measure
from bench.profiles import PROFILES
from bench.stacks import STACKS

OUTPUT = results.FOLDER / "tunnel.json"


def names(text: str, of: Sequence[str]) -> list[str]:
    """Some of these names, given with commas or spaces between; none is all.

    :raises argparse.ArgumentTypeError: one that is not among them.
    """
    chosen = text.replace(",", " ").split()
    for name in chosen:
        if name not in of:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(of)}")
    return chosen or list(of)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.tunnel", description=__doc__)
    parser.add_argument("--profiles", type=lambda text: names(text, list(PROFILES)), default="")
    parser.add_argument("--stacks", type=lambda text: names(text, STACKS), default="")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=FULL_S, help="length of the bulk")
    parser.add_argument("--idle", type=float, help="seconds of echo before it")
    parser.add_argument("--seed", type=int, default=1, help="of the first run's link")
    parser.add_argument("--resume", action="store_true", help="skip the runs that are there")
    parser.add_argument("--report", action="store_true", help="only print what is there")
    parser.add_argument("--output", type=Path, default=None,
                        help="JSON; a shortened bulk is not kept unless this is given")  # fmt: skip
    return parser.parse_args(arguments)


def wanted(options: argparse.Namespace) -> list[results.Row]:
    """The keys of all runs that were asked for, run by run, so that they share the weather."""
    return [
        {"profile": profile, "stack": stack, "run": run}
        for profile in options.profiles
        for run in range(1, options.runs + 1)
        for stack in options.stacks
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write down; 1 if something could not be measured."""
    options = parse(arguments)
    output = options.output or (OUTPUT if options.seconds >= FULL_S else None)
    rows = results.load(output) if output else []
    keys = wanted(options)
    if options.report:
        print(report.table(rows))
        return 0
    if lacking := namespaces.missing():
        print(f"bench.tunnel: {lacking}", file=sys.stderr)
        return 1
    todo = results.missing(rows, keys) if options.resume else keys
    around = results.circumstances("bench.tunnel", arguments)
    failed = 0
    for number, key in enumerate(todo, 1):
        name = " ".join(str(value) for value in key.values())
        print(f"[{number}/{len(todo)}] {time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
        try:
            # Every stack of a run meets the same seed; no two runs do.
            figures = measure(
                PROFILES[key["profile"]], key["stack"],
                seed=options.seed + key["run"] - 1, seconds=options.seconds,
                idle_s=options.idle,
            )  # fmt: skip
        except RuntimeError as error:
            failed += 1
            rows = results.without(rows, key)
            print(f"{name}: {error}", file=sys.stderr)
            continue
        row = results.rounded({**key, **figures, **around})
        rows = results.put(rows, row, key)
        if output:
            results.save(output, rows)
    print(report.table(row for row in rows if any(results.same(row, key) for key in keys)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
