"""The program `edgetainer-agent`: settings, log, signals, reactor."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from edgetainer import __version__
from edgetainer.errors import EdgetainerError
from edgetainer.quic.clock import make_monotonic
from edgetainer_agent.config import DEFAULT_FILE, ENVIRONMENT_PREFIX, Settings, load

#: Exit codes, after sysexits.h, so that a service manager can tell what is
#: worth a restart: nothing of the sort happened, the server refuses the
#: device's token, the settings are wrong.
EXIT_FAILED, EXIT_REFUSED, EXIT_CONFIG = 1, 77, 78


def main(argv: Sequence[str] | None = None) -> int:
    """Run the agent until a signal ends it; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        settings = load(options.config, os.environ)
    except EdgetainerError as error:
        print(f"edgetainer-agent: {error}", file=sys.stderr)
        return EXIT_CONFIG
    begin_log(settings.log_level, sys.stderr)
    reactor = install_reactor()
    return _run(reactor, settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgetainer-agent",
        description="Keeps this machine connected to its server and runs its containers.",
        epilog=f"Any setting can be overridden by a variable {ENVIRONMENT_PREFIX}<SETTING>.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"settings, YAML or JSON (default: {DEFAULT_FILE} if it exists)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def begin_log(level: str, stream: TextIO) -> None:
    """Log to `stream` from `level` on, without the chatter of libraries."""
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.levelWithName(level))
    # Every connection, to a container too, would say that it starts and stops.
    for chatty in ("twisted.web", "twisted.internet.endpoints", "twisted.internet.protocol",
                   "log_legacy"):  # fmt: skip
        predicate.setLogLevelForNamespace(chatty, LogLevel.warn)
    observer = FilteringLogObserver(textFileLogObserver(stream), [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def install_reactor() -> Any:
    """The process's reactor, the best one of this system, on a steady clock."""
    if sys.platform == "linux":
        from twisted.internet import epollreactor

        epollreactor.install()
    from twisted.internet import reactor

    make_monotonic(reactor)
    return reactor


def _run(reactor: Any, settings: Settings) -> int:
    # After the reactor is installed: some of Twisted's modules would choose one.
    from edgetainer_agent.service import AgentService

    failures: list[EdgetainerError] = []

    def failed(error: EdgetainerError) -> None:
        failures.append(error)
        # Also when it fails before the reactor runs.
        reactor.callWhenRunning(reactor.stop)

    service = AgentService(reactor=reactor, settings=settings, on_failure=failed)
    reactor.callWhenRunning(service.startService)
    # SIGINT and SIGTERM end the reactor, which waits for what this returns.
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    if not failures:
        return 0
    print(f"edgetainer-agent: {failures[0]}", file=sys.stderr)
    if failures[0].code == "config_invalid":
        return EXIT_CONFIG
    return EXIT_REFUSED if failures[0].status < 500 else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
