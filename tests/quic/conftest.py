"""What the tests of this package share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import LogLevel, formatEvent, globalLogPublisher


@pytest.fixture(autouse=True)
def logged_failures() -> Iterator[list[str]]:
    """Failures that were logged and not raised; a test that expects one empties it."""
    seen: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        failure = event.get("log_failure")
        if event.get("log_level") == LogLevel.critical and failure is not None:
            seen.append(failure.getTraceback())

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)
    assert not seen, "\n".join(seen)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What an operator reads at the usual level."""
    lines: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        if event["log_level"] >= LogLevel.info and event["log_namespace"].startswith("edgetainer"):
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)
