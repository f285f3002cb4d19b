"""The program `edgetainer-simulate`: options, log, signals, reactor."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgetainer import __version__
from edgetainer.errors import EdgetainerError
from edgetainer.simulate.identities import NAME
from edgetainer.tunnel.profiles import PROFILES
from edgetainer_agent.config import LOG_LEVELS, https_url
from edgetainer_agent.durable import write_atomically
from edgetainer_agent.main import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_REFUSED,
    begin_log,
    install_reactor,
)

#: Where a token may be given beside `--token-file`; a command line is everybody's to read.
TOKEN_VARIABLE = "EDGETAINER_SIMULATE_TOKEN"  # noqa: S105 - the variable's name
#: Descriptors beside one socket for each device: enrolment, log, libraries.
SPARE_FILES = 256


def main(argv: Sequence[str] | None = None) -> int:
    """Run the devices until a signal ends them; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if not NAME.fullmatch(options.name_prefix):
        parser.error("--name-prefix: letters, digits, '.', '_' and '-' only")
    begin_log(options.log_level, sys.stderr)
    try:
        allow_files(options.devices + SPARE_FILES)
        reactor = install_reactor()
        return _run(reactor, options)
    except EdgetainerError as error:
        return _ended(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgetainer-simulate",
        description="Brings up simulated devices that speak the real tunnel protocol.",
        epilog=f"An enrolment token may also stand in the variable {TOKEN_VARIABLE}.",
    )
    add = parser.add_argument
    add("--server", required=True, metavar="URL", help="the console's address, https://HOST[:PORT]")
    add("--devices", type=_whole(1, 100_000), default=10, metavar="N", help="how many (10)")
    add("--state", type=Path, default=Path("var/simulate"), metavar="DIR",
        help="folder of the devices' identities (var/simulate)")  # fmt: skip
    add("--token-file", type=Path, metavar="FILE",
        help="enrolment token with a use for each device; needed the first time only")  # fmt: skip
    add("--ca-file", type=Path, metavar="FILE",
        help="PEM of the authority that signed the console's certificate")  # fmt: skip
    add("--name-prefix", default="sim", metavar="TEXT", help="devices are called TEXT-0001 … (sim)")
    add("--start-per-s", type=_number(0.1, 10_000), default=100.0, metavar="N",
        help="devices that begin to dial in a second (100)")  # fmt: skip
    add("--profile", choices=sorted(PROFILES), default="standard",
        help="what the devices' links are like (standard)")  # fmt: skip
    add("--heartbeat-s", type=_number(1, 86_400), metavar="S",
        help="seconds between heartbeats (as profile and server say)")  # fmt: skip
    add("--fail-deployments", type=_number(0, 100), default=0.0, metavar="PERCENT",
        help="share of deployments that fail (0)")  # fmt: skip
    add("--pull-s", type=_number(0, 86_400), default=2.0, metavar="S",
        help="mean seconds that a deployment's images take to arrive (2)")  # fmt: skip
    add("--disconnect-every", type=_number(1, 86_400), metavar="S",
        help="mean seconds between cuts of each device's link (never)")  # fmt: skip
    add("--disconnect-for", type=_number(0.1, 86_400), default=20.0, metavar="S",
        help="mean seconds of a cut (20)")  # fmt: skip
    add("--seed", type=int, default=1, metavar="N", help="repeats every choice left to chance (1)")
    add("--tell-every-s", type=_number(0.1, 86_400), default=10.0, metavar="S",
        help="seconds between two lines about how things stand (10)")  # fmt: skip
    add("--report", type=Path, metavar="FILE", help="keep the figures in FILE, as JSON")
    add("--log-level", choices=LOG_LEVELS, default="warn", help="least level logged (warn)")
    add("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _run(reactor: Any, options: argparse.Namespace) -> int:
    # After the reactor is installed: some of Twisted's modules would choose one.
    from twisted.internet.defer import CancelledError, Deferred
    from twisted.internet.task import LoopingCall
    from twisted.web.client import HTTPConnectionPool

    from edgetainer.simulate.deployments import Obedience
    from edgetainer.simulate.fleet import ENROLLING, Options, SimulatedFleet
    from edgetainer_agent.enrol import https_client

    pool = HTTPConnectionPool(reactor, persistent=True)
    pool.maxPersistentPerHost = ENROLLING
    fleet = SimulatedFleet(
        reactor=reactor,
        options=Options(
            state_dir=options.state,
            devices=options.devices,
            server_url=https_url("server", options.server, Path()),
            token=_token(options.token_file),
            prefix=options.name_prefix,
            start_per_s=options.start_per_s,
            profile=PROFILES[options.profile],
            heartbeat_s=options.heartbeat_s,
            obedience=Obedience(options.fail_deployments / 100, options.pull_s),
            cut_every_s=options.disconnect_every,
            cut_for_s=options.disconnect_for,
            seed=options.seed,
        ),
        http=https_client(reactor, options.ca_file, pool=pool),
    )
    failures: list[EdgetainerError] = []

    def failed(failure: Any) -> None:
        if failure.check(CancelledError):
            return
        error = failure.value
        if not isinstance(error, EdgetainerError):
            failure.printTraceback(file=sys.stderr)
            error = EdgetainerError("internal", f"The devices cannot run: {error!r}")
        failures.append(error)
        reactor.callWhenRunning(reactor.stop)

    def tell() -> None:
        document = fleet.document()
        print(" ".join(f"{name}={value}" for name, value in document.items()), flush=True)
        if options.report is not None:
            write_atomically(options.report, json.dumps(document).encode(), mode=0o644)

    def start() -> None:
        LoopingCall(tell).start(options.tell_every_s, now=False).addErrback(failed)
        Deferred.fromCoroutine(fleet.start()).addErrback(failed)

    async def stop() -> None:
        tell()
        await fleet.stop()
        await pool.closeCachedConnections()

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromCoroutine(stop()).addErrback(failed)
    )
    reactor.run()
    return _ended(failures[0]) if failures else 0


def _ended(error: EdgetainerError) -> int:
    print(f"edgetainer-simulate: {error}", file=sys.stderr)
    if error.code == "config_invalid":
        return EXIT_CONFIG
    return EXIT_REFUSED if error.status < 500 else EXIT_FAILED


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        # Not deleted, as the agent does with its own: it is for many devices.
        return file.read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise EdgetainerError(
            "config_invalid", f"token_file: {file} cannot be read", field="token_file"
        ) from error


def allow_files(wanted: int) -> None:
    """Raise the process's own limit of open files: each device has a socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise EdgetainerError(
            "config_invalid", f"devices: {wanted} open files are needed, {hard} are allowed"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _number(least: float, most: float) -> Any:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not between {least:g} and {most:g}")
        return value

    return parse


def _whole(least: int, most: int) -> Any:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not between {least} and {most}")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main())
