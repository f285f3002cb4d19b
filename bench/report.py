"""The table that people read: medians of the runs, floors, ratios against ssh. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.figures import median
from bench.profiles import PROFILES, Floor
from bench.results import Row
from bench.stacks import STACKS

_HEAD = (
    "profile", "stack", "runs", "Mbit/s 15 s", "60 s", "1 MB s", "8 MB s", "idle p50",
    "echo p50", "p95", "p99", "CPU server", "agent", "wire", "back", "floor",
)  # fmt: skip
_FIGURES = (
    ("goodput_mbit", "{:.2f}"), ("goodput60_mbit", "{:.2f}"), ("t1mb_s", "{:.2f}"),
    ("t8mb_s", "{:.2f}"), ("echo_idle_p50_ms", "{:.1f}"), ("echo_p50_ms", "{:.0f}"),
    ("echo_p95_ms", "{:.0f}"), ("echo_p99_ms", "{:.0f}"), ("cpu_server", "{:.2f}"),
    ("cpu_agent", "{:.2f}"), ("wire_per_byte", "{:.2f}"), ("wire_back_per_byte", "{:.3f}"),
)  # fmt: skip


def medians(rows: Sequence[Row]) -> dict[str, float | None]:
    """Each figure's median over these runs."""
    return {name: median(row.get(name) for row in rows) for name, _ in _FIGURES}


def verdict(floor: Floor, figures: dict[str, float | None]) -> str:
    """ "pass", or each floor that was missed, with what it is."""
    goodput, idle = figures["goodput_mbit"], figures["echo_idle_p50_ms"]
    p50, p95 = figures["echo_p50_ms"], figures["echo_p95_ms"]
    if goodput is None or idle is None or p50 is None or p95 is None:
        return "incomplete"
    most_p50, most_p95 = floor.echo_limits_ms(idle)
    misses = []
    if goodput < floor.goodput_mbit:
        misses.append(f"goodput under {floor.goodput_mbit:.2f}")
    if p50 > most_p50:
        misses.append(f"p50 over {most_p50:.0f}")
    if p95 > most_p95:
        misses.append(f"p95 over {most_p95:.0f}")
    if misses:
        return "MISS " + ", ".join(misses)
    return "pass, aim" if goodput >= floor.aim_mbit else "pass"


def ratio(mine: float | None, other: float | None) -> str:
    """How many times, or "-"."""
    return f"{mine / other:.1f}x" if mine is not None and other else "-"


def table(rows: Iterable[Row]) -> str:
    """Markdown: the figures, then the ratios."""
    found = list(rows)
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    ratios = [_line(("profile", "against", "goodput", "goodput 60 s", "echo p50", "echo p95")),
              _line(["---"] * 6)]  # fmt: skip
    for name, profile in PROFILES.items():
        of: dict[str, dict[str, float | None]] = {}
        for stack in STACKS:
            runs = [row for row in found if row["profile"] == name and row["stack"] == stack]
            if not runs:
                continue
            of[stack] = medians(runs)
            cells = [name, stack, str(len(runs))]
            for figure, form in _FIGURES:
                value = of[stack][figure]
                cells.append("-" if value is None else form.format(value))
            cells.append(verdict(profile.floor, of[stack]) if stack == "ours" else "")
            lines.append(_line(cells))
        for stack in STACKS[1:]:
            if "ours" in of and stack in of:
                mine, other = of["ours"], of[stack]
                ratios.append(_line((
                    name, stack,
                    ratio(mine["goodput_mbit"], other["goodput_mbit"]),
                    ratio(mine["goodput60_mbit"], other["goodput60_mbit"]),
                    # The other way round: a quicker echo is the better one.
                    ratio(other["echo_p50_ms"], mine["echo_p50_ms"]),
                    ratio(other["echo_p95_ms"], mine["echo_p95_ms"]),
                )))  # fmt: skip
    if len(ratios) > 2:
        lines += ["", "How many times ours is better (medians):", "", *ratios]
    commits = sorted({str(row.get("commit", "unknown")) for row in found})
    machines = sorted({f"{row.get('cores')} cores, Linux {row.get('kernel')}, Python "
                       f"{row.get('python')}" for row in found})  # fmt: skip
    commands = sorted({str(row.get("command", "")) for row in found})
    lines += ["", f"Commit {', '.join(commits)}; {'; '.join(machines)}.", *commands]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
