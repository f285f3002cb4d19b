"""What the tests of this package share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import LogLevel, globalLogPublisher


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
