"""What both ends of our stack need of their process."""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from edgetainer.quic.clock import make_monotonic


def install() -> Any:
    """The reactor as the product runs it; warnings go to standard error."""
    from twisted.internet import epollreactor

    epollreactor.install()  # type: ignore[no-untyped-call]
    from twisted.internet import reactor

    make_monotonic(reactor)
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    return reactor


def say(**fields: object) -> None:
    """One line of JSON for whoever runs the bench."""
    print(json.dumps(fields), flush=True)
