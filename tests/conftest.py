"""What all tests share: which real parts are there, and no silent skips in CI."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from edgetainer.storage.database import Database
    from tests.system import System


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="take the long forms instead (make soak)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "whole_machine: starts a whole system (server, agent, Docker, browser); runs alone",
    )
    config.addinivalue_line("markers", "soak: takes minutes; left out but for --soak")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    soak = [item for item in items if item.get_closest_marker("soak")]
    usual = [item for item in items if not item.get_closest_marker("soak")]
    items[:], others = (soak, usual) if config.getoption("--soak") else (usual, soak)
    config.hook.pytest_deselected(items=others)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, None]:
    """With CI set a skipped test is a failed one: there every real part must be there."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {reason}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of each kind; transactions run at once in the test's thread.

    Deferreds of `run` have therefore fired when they are returned: it needs no
    reactor and suits a fake clock.
    """
    # Imported here: the agent's tests run where there is no SQLAlchemy.
    from tests import databases

    with databases.opened(request.param, tmp_path, reactor=None) as door:
        yield door


@pytest.fixture(params=["sqlite", "postgresql"])
def threaded_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Like `database`, on real threads and the real reactor, as in production."""
    from twisted.internet import reactor

    from tests import databases

    with databases.opened(request.param, tmp_path, reactor=reactor) as door:
        yield door


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind before any migration."""
    from tests import databases

    with databases.opened(request.param, tmp_path, reactor=None, empty=True) as door:
        yield door


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """A whole running system on each kind of database: server, device, demo stack."""
    from tests import system

    with system.running(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running
