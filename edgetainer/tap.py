"""The server as a Twisted service, for `twistd edgetainer`.

`prepare` does what must have happened before anything listens (tables, keys, the
first admin) and needs no reactor, so that a failure ends the program with its
reason. `Server` then runs the parts that `composition` puts together: it opens the
ports last and closes them first.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
)
from twisted.python import usage
from twisted.python.failure import Failure

from edgetainer.composition import Parts, compose, compose_people, now, tls_identity
from edgetainer.config import OPTIONS, Settings, load
from edgetainer.errors import EdgetainerError
from edgetainer.quic.clock import make_monotonic
from edgetainer.storage import files
from edgetainer.storage.database import Database

_log = Logger()

# Connections that wait to be accepted: visitors and devices that all come back
# after an outage are not turned away by the kernel.
BACKLOG = 1024
# Open files: each visitor and terminal holds one, and a shell's usual limit of
# 1024 would have the database out of them first.
FILES = 16 * 1024
# Seconds between looks for a renewed certificate; programs that renew leave days.
RENEWAL_S = 3600
# From here on the log says every time that a certificate ends. Let's Encrypt's
# are renewed a month before, so that nobody is told while all goes well.
ENDS_SOON = timedelta(days=14)
EXIT_FAILED = 1


class Options(usage.Options):
    """The command line of `twistd edgetainer`: every option of `Settings`."""

    synopsis = "[options]"
    longdesc = (
        "Each option can also be given in the environment (EDGETAINER_ and the option's name "
        "in capitals, with _ for -) and in the file that --config names (YAML or JSON, names "
        "in lower case with _ for -). The command line wins over the environment, that over "
        "the file."
    )
    optParameters = [  # noqa: RUF012 - twisted.python.usage reads it off the class
        ["config", "c", None, "File with options in YAML or JSON. [EDGETAINER_CONFIG]"],
        *(
            [option.flag, None, None, f"{option.text} [default: {option.shown_default}]"]
            for option in OPTIONS
        ),
    ]

    settings: Settings

    def postOptions(self) -> None:
        """Read the settings; one that is not usable ends the program with its name."""
        file = self["config"] or os.environ.get("EDGETAINER_CONFIG")
        try:
            self.settings = load(
                command_line={option.flag: self[option.flag] for option in OPTIONS},
                environment=os.environ,
                file=Path(file) if file else None,
            )
        except EdgetainerError as error:
            # Not as a UsageError: twistd would print all of its help, and before
            # Twisted 26 end as if nothing were wrong.
            sys.exit(f"edgetainer: {error}")


def makeService(options: Options) -> IService:
    """The server with these options, prepared and not yet started."""
    from twisted.internet import reactor

    make_monotonic(reactor)
    try:
        prepare(options.settings)
        server: IService = Server(options.settings, reactor=reactor)
    except EdgetainerError as error:
        sys.exit(f"edgetainer: {error}")
    except OSError as error:
        sys.exit(f"edgetainer: {error}; is --state-dir a folder that can be written to?")
    return server


def prepare(settings: Settings) -> None:
    """Bring the state folder and the database to where a server can start.

    :raises EdgetainerError: `unavailable`, no database; `config_invalid`.
    """
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.state_dir / "admin-password"
    # Without a reactor everything happens at once, in this thread.
    database = Database(settings.database_url, reactor=None)
    try:
        _at_once(database.migrate())
        users = compose_people(settings, database, reactor=None).users
        password = _at_once(
            Deferred.fromCoroutine(
                users.first_admin(lambda password: files.write(path, f"{password}\n".encode()))
            )
        )
    finally:
        database.close()
    if password is not None:
        print(f"Created the user admin; the password is in {path}", flush=True)
        if sys.stdout.isatty():  # a log file is no place for it
            print(f"It is {password}", flush=True)


def _at_once(deferred: Deferred[Any]) -> Any:
    """What a Deferred that has fired already fired with."""
    outcome: list[Any] = []
    deferred.addBoth(outcome.append)
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return outcome[0]


class Server(Service):
    """A running server.

    :param reactor: the process's own.
    """

    name = "edgetainer"

    def __init__(self, settings: Settings, *, reactor: Any) -> None:
        self.settings = settings
        self._reactor = reactor
        self._parts: Parts = compose(settings, reactor=reactor)
        self._port: Any = None
        self._starting: Deferred[None] | None = None
        self._renewal = LoopingCall(self._renew)
        self._renewal.clock = reactor

    def startService(self) -> None:
        """Start; a failure from here on stops the process with exit status 1."""
        super().startService()
        _log_from(self.settings.log_level)
        _allow_files(FILES)
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._failed)

    def stopService(self) -> Deferred[None]:
        """Stop in order; fires when what was under way has been written."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        parts, settings = self._parts, self.settings
        await parts.identities.load()
        await parts.presence.start()
        parts.tunnel.start()
        self._port = self._reactor.listenTCP(
            settings.https_port, parts.https, backlog=BACKLOG, interface=settings.interface
        )
        self._renewal.start(RENEWAL_S).addErrback(
            lambda failure: _log.failure("no more looks for a renewed certificate", failure)
        )
        _log.info(
            "console at {url}, devices at *.{apps}{suffix}, tunnel at UDP {interface}:{tunnel}",
            url=settings.console_url,
            apps=settings.apps_domain,
            suffix=settings.port_suffix,
            interface=settings.interface,
            tunnel=settings.tunnel_port,
        )

    async def _stop(self) -> None:
        parts = self._parts
        if self._starting is not None:
            # Else it would go on behind our back and open what is closed here.
            self._starting.cancel()
        if self._renewal.running:
            self._renewal.stop()
        steps: list[Callable[[], Any]] = [
            # First the sessions, which say goodbye, then the socket they say it on.
            parts.switchboard.stop,
            parts.tunnel.close,
            parts.presence.stop,
            parts.passwords.close,
            parts.database.close,
        ]
        if self._port is not None:
            steps.insert(0, self._port.stopListening)
        for step in steps:
            try:
                await maybeDeferred(step)
            except Exception:
                # What is left is stopped all the same: the database comes last.
                _log.failure("stopping: {step}", step=step)

    def _renew(self) -> None:
        """Show the certificate that the files hold now, or go on with the one shown."""
        try:
            found = tls_identity(self.settings)
            if self._parts.certificate.replace(found.certificate_chain, found.private_key):
                _log.info("new connections are shown the renewed TLS certificate")
        except (EdgetainerError, OSError) as error:
            _log.error("the TLS certificate stays the one shown so far: {why}", why=error)
        ends = self._parts.certificate.ends
        if ends - now() < ENDS_SOON:
            _log.warn("the TLS certificate ends at {ends}; browsers refuse it then", ends=ends)

    def _failed(self, failure: Failure) -> None:
        if not self.running:
            # Stopped while it was starting: that is no failure to start.
            if not failure.check(CancelledError):
                _log.failure("starting, while being stopped", failure)
            return
        if failure.check(EdgetainerError, CannotListenError):
            _log.critical("the server cannot start: {why}", why=failure.getErrorMessage())
        else:
            _log.failure("the server cannot start", failure)
        # twistd's own exit status would be 0, which a service manager takes for
        # a wish; everything has been stopped and logged by then.
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, EXIT_FAILED)
        self._reactor.stop()


def _allow_files(wanted: int) -> None:
    """Raise the process's own limit of open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return
    allowed = wanted if hard == unlimited else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        _log.warn(
            "only {allowed} open files are allowed; {wanted} are needed when many people and "
            "devices come (LimitNOFILE= of systemd, ulimit -n)",
            allowed=allowed,
            wanted=wanted,
        )


def _log_from(level: str) -> None:
    """Let nothing below `level` into the log, wherever twistd writes it."""
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.levelWithName(level))
    # twistd has made the observers and tells nobody which; see test_tap.
    for observer in list(globalLogPublisher._observers):
        globalLogPublisher.removeObserver(observer)
        globalLogPublisher.addObserver(FilteringLogObserver(observer, [predicate]))
