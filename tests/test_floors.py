"""Imports go downward only.

The design gives every part a floor. Each module's imports are read from its
syntax tree, conditional and typing-only ones included, and held against the
table below. A part that is not in the table fails: give it a floor.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: What each part may import of ours, besides itself. Everything may import
#: `edgetainer` itself (the version).
GROUND = {"domain", "errors"}
LOW = GROUND | {"quic"}
STORES = LOW | {"storage", "tunnel"}
LIVE = STORES | {"switchboard", "events"}
USE_CASES = LIVE | {"services"}
DOORS = USE_CASES | {"api", "hub", "gateway", "dns"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "domain": {"errors"},
    # aioquic on Twisted, fit to be lifted out: it knows nothing of Edgetainer.
    "quic": set(),
    "storage": GROUND,
    "tunnel": LOW,
    "switchboard": GROUND | {"tunnel", "quic"},
    "events": GROUND,
    "services": LIVE,
    "api": USE_CASES,
    "hub": USE_CASES,
    "gateway": USE_CASES,
    "dns": USE_CASES,
    # Settings are values that only those who put things together read.
    "config": GROUND | {"config_values"},
    "config_values": GROUND,
    "composition": DOORS | {"config"},
    "cli": DOORS | {"config", "tap"},
    "tap": DOORS | {"composition", "config"},
    # The agent: the tunnel and what is pure, and nothing else of the server.
    "edgetainer_agent": {"tunnel", "quic", "domain", "errors"},
    # Made-up machines behind the agent's own way of talking.
    "simulate": {"edgetainer_agent", "tunnel", "quic", "domain", "errors"},
    "twisted.plugins": {"tap"},
}

#: Modules with I/O, a clock or chance in them, which `domain` goes without.
IMPURE = {
    "aioquic", "asyncio", "autobahn", "docker", "klein", "multiprocessing", "os", "pathlib",
    "psutil", "psycopg2", "random", "secrets", "select", "signal", "socket", "sqlalchemy", "ssl",
    "subprocess", "sys", "tempfile", "threading", "time", "treq", "twisted", "urllib.request",
}  # fmt: skip

#: Modules that both ends of a tunnel, and any tool, may use without Twisted.
PURE_TUNNEL = {"closing", "frames", "limits", "messages", "silence", "targets", "wire"}

#: The only places that may take the process's own reactor.
COMPOSERS = ("edgetainer/tap.py", "edgetainer/cli/", "agent/edgetainer_agent/main.py")


class Import(NamedTuple):
    """One imported name, and where."""

    path: Path
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"


def part_of(path: Path) -> str:
    """The part that a source file belongs to."""
    relative = path.relative_to(ROOT)
    if relative.parts[0] == "agent":
        return "edgetainer_agent"
    if relative.parts[0] == "twisted":
        return "twisted.plugins"
    return relative.parts[1].removesuffix(".py")


def sources() -> list[Path]:
    found = [
        *(ROOT / "edgetainer").rglob("*.py"),
        *(ROOT / "agent" / "edgetainer_agent").rglob("*.py"),
        *(ROOT / "twisted" / "plugins").glob("*.py"),
    ]
    return sorted(path for path in found if path != ROOT / "edgetainer" / "__init__.py")


def package_of(path: Path) -> list[str]:
    relative = path.relative_to(ROOT)
    parts = relative.parts[1:] if relative.parts[0] == "agent" else relative.parts
    return list(parts[:-1])


def imports(path: Path) -> Iterator[Import]:
    """Every name that a file imports, as an absolute dotted name."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = package_of(path)
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                yield Import(path, node.lineno, f"{base}.{alias.name}")


def imported_part(name: str) -> str | None:
    """The part of ours that a dotted name lies in, if any."""
    package, _, rest = name.partition(".")
    if package == "edgetainer_agent":
        return package
    if package != "edgetainer" or not rest:
        return None
    part = rest.split(".")[0]
    return None if part == "__version__" else part


def starts_with(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def wrong(path: Path) -> list[str]:
    """What a file imports against the rules."""
    part = part_of(path)
    if part not in MAY_IMPORT:
        return [f"{path.relative_to(ROOT)}: the part {part!r} has no floor in MAY_IMPORT"]
    allowed = MAY_IMPORT[part] | {part}
    found = [
        str(one)
        for one in imports(path)
        if (target := imported_part(one.name)) is not None and target not in allowed
    ]
    if part == "domain":
        found += [str(one) for one in imports(path) if starts_with(one.name, IMPURE)]
    if part == "tunnel" and path.stem in PURE_TUNNEL:
        impure = IMPURE | {"zope"}
        found += [str(one) for one in imports(path) if starts_with(one.name, impure)]
    if not str(path.relative_to(ROOT)).startswith(COMPOSERS):
        reactors = {"twisted.internet.reactor"}
        found += [str(one) for one in imports(path) if starts_with(one.name, reactors)]
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward_only(path: Path) -> None:
    assert wrong(path) == []


def test_every_part_of_the_design_is_there_to_be_walked() -> None:
    parts = {part_of(path) for path in sources()}
    assert {"quic", "tunnel", "domain", "errors", "storage", "edgetainer_agent"} <= parts
    assert len(sources()) > 20


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("edgetainer/quic/x.py", "from edgetainer.errors import EdgetainerError"),
        ("edgetainer/quic/x.py", "from edgetainer import errors"),
        ("edgetainer/quic/x.py", "from ..tunnel import session"),
        ("edgetainer/tunnel/x.py", "import edgetainer.storage.database"),
        ("edgetainer/tunnel/wire.py", "from twisted.internet import defer"),
        ("edgetainer/services/x.py", "if TYPE_CHECKING:\n    from edgetainer.api import app"),
        ("edgetainer/domain/x.py", "import os.path"),
        ("edgetainer/domain/x.py", "def f():\n    import time"),
        ("edgetainer/hub/x.py", "from edgetainer.gateway.http1 import Proxy"),
        ("edgetainer/gateway/x.py", "from twisted.internet import reactor"),
        ("edgetainer/nowhere/x.py", "import json"),
        ("edgetainer/errors.py", "from edgetainer.domain import access"),
        ("agent/edgetainer_agent/x.py", "from edgetainer import switchboard"),
        ("agent/edgetainer_agent/x.py", "from edgetainer.storage import tables"),
        ("edgetainer/api/x.py", "import edgetainer_agent.docker"),
    ],
)
def test_the_walk_sees_every_way_of_climbing(
    place: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert len(wrong(path)) == 1


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("edgetainer/tap.py", "from twisted.internet import reactor"),
        ("edgetainer/tunnel/session.py", "from edgetainer.quic.errors import StreamLimit"),
        ("edgetainer/tunnel/session.py", "from . import wire"),
        ("edgetainer/api/x.py", "from edgetainer import __version__"),
        ("agent/edgetainer_agent/x.py", "from edgetainer.tunnel.dialer import Dialer"),
    ],
)
def test_the_walk_lets_the_right_ones_pass(
    place: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert wrong(path) == []
