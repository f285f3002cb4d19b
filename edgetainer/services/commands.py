"""Commands: run a program on a device once, and hand back what it said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.storage import audit, revisions
from edgetainer.storage.database import Database
from edgetainer.tunnel.channel import FrameProtocol, abort
from edgetainer.tunnel.messages import ExecTarget, Exit, FrameType, Signal, Target

# Bytes kept of standard output, and of standard error: an answer for a person.
MAX_KEPT = 1024 * 1024
# Bytes received in all before the program is killed: beyond this it is not an
# answer but a stream, and the device's link may cost money.
MAX_RECEIVED = 8 * MAX_KEPT
# Seconds: what a request may ask for, and what it gets when it does not say.
MAX_TIMEOUT_S = 600.0
DEFAULT_TIMEOUT_S = 30.0
# Seconds beyond a command's own limit. The device ends it at the limit; what it
# said then still has to come over a slow link.
GRACE_S = 10.0
# Commands at a time: each may hold 2 x MAX_KEPT of output.
MAX_RUNNING = 64
# Characters of a command line that the audit keeps.
MAX_AUDITED = 2000


class Devices(Protocol):
    """What of the switchboard is needed here."""

    def endpoint(self, device_id: str, target: Target) -> IStreamClientEndpoint:
        """Where to connect to reach `target` on the device."""


@dataclass(frozen=True)
class Result:
    """How a command ended.

    :param exit_code: None when a signal ended it.
    :param signal: its name without "SIG", or None.
    :param truncated: some of the output was not kept, or the command was killed
        for its amount.
    """

    exit_code: int | None
    signal: str | None
    stdout: bytes
    stderr: bytes
    truncated: bool
    duration_s: float


class Commands:
    """Running programs on devices.

    :param reactor: measures how long they take.
    :param now: tells the time, aware.
    """

    def __init__(
        self,
        *,
        database: Database,
        devices: Devices,
        reactor: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._devices = devices
        self._reactor = reactor
        self._now = now
        self._running = 0

    async def run(
        self,
        principal: Principal,
        device_id: str,
        *,
        argv: tuple[str, ...] | None = None,
        command: str | None = None,
        container: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Result:
        """Run a program on a device and wait for its end.

        It is started once at most: where the answer is an error the program
        may have run, and whoever asked decides whether to ask again.

        :param argv: the program and its arguments; or
        :param command: a line for the shell.
        :param container: the container's name; None for the device itself,
            which only admins may ask for.
        :param timeout_s: seconds after which the device kills it.
        :raises EdgetainerError: `forbidden`, `not_found`, `invalid_field`,
            `device_offline`, `device_timeout`, `session_closed`, or the
            device's own reason for not starting it.
        """
        demand(principal, "command.host" if container is None else "command.container")
        if (argv is None) == (command is None):
            raise EdgetainerError("invalid_field", "Give either argv or command.", field="argv")
        if not 0 < timeout_s <= MAX_TIMEOUT_S:
            raise EdgetainerError(
                "invalid_field",
                f"timeout_s is more than 0 and at most {MAX_TIMEOUT_S:g}.",
                field="timeout_s",
            )
        line = argv if argv is not None else ("sh", "-c", command or "")
        target = ExecTarget(argv=tuple(line), container=container, timeout_s=timeout_s)
        if self._running >= MAX_RUNNING:
            raise EdgetainerError("unavailable", f"{MAX_RUNNING} commands are running already.")
        self._running += 1
        try:
            await self._database.run(lambda c: self._record(c, principal, device_id, target))
            return await self._collect(device_id, target)
        finally:
            self._running -= 1

    def _record(
        self, connection: Connection, principal: Principal, device_id: str, target: ExecTarget
    ) -> None:
        # Before it runs: what was attempted is known even if we die meanwhile.
        if revisions.of(connection, device_id) is None:
            raise EdgetainerError("not_found", f"There is no device {device_id}.")
        audit.append(
            connection,
            principal,
            "commands.run",
            target=("device", device_id),
            detail={
                "argv": " ".join(target.argv)[:MAX_AUDITED],
                "container": target.container,
                "timeout_s": target.timeout_s,
            },
            now=self._now(),
        )

    async def _collect(self, device_id: str, target: ExecTarget) -> Result:
        started = self._reactor.seconds()
        endpoint = self._devices.endpoint(device_id, target)
        collector: Collector = await endpoint.connect(Factory.forProtocol(Collector))  # type: ignore[assignment]
        deadline = self._reactor.callLater(target.timeout_s + GRACE_S, collector.give_up)
        try:
            ended = await collector.ended
        finally:
            if deadline.active():
                deadline.cancel()
        return Result(
            exit_code=ended.code,
            signal=ended.signal,
            stdout=bytes(collector.stdout),
            stderr=bytes(collector.stderr),
            truncated=collector.truncated,
            duration_s=round(self._reactor.seconds() - started, 3),
        )


class Collector(FrameProtocol):
    """Keeps what a program says, within bounds, until it ends.

    `ended` fires with an `Exit`, or fails with an `EdgetainerError`.
    """

    def __init__(self) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.truncated = False
        self.ended: Deferred[Exit] = Deferred(lambda _: self.give_up())
        self._received = 0
        self._killed = False
        self._done = False

    def connectionMade(self) -> None:
        # A program that waits for input would wait for ever.
        self.send_frame(FrameType.EOF)

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.DATA:
            self._keep(self.stdout, payload)
        elif type is FrameType.STDERR:
            self._keep(self.stderr, payload)
        elif type is FrameType.EXIT:
            exit_ = Exit.parse(payload)
            self._settle(exit_)
            assert self.transport is not None
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        clean = reason.check(ConnectionDone) is not None
        self._settle(
            EdgetainerError(
                "session_closed",
                "The connection to the device ended while the command ran; it may have run."
                if not clean
                else "The device ended the channel without saying how the command ended.",
            )
        )

    def violated(self, error: EdgetainerError) -> None:
        self._settle(error)
        super().violated(error)

    def give_up(self) -> None:
        """The device did not end the command in time."""
        self._settle(
            EdgetainerError(
                "device_timeout", "The device did not say in time how the command ended."
            )
        )
        if self.transport is not None:
            abort(self.transport)

    def _keep(self, kept: bytearray, payload: bytes) -> None:
        room = MAX_KEPT - len(kept)
        kept += payload[:room]
        self.truncated = self.truncated or len(payload) > room
        self._received += len(payload)
        if self._received > MAX_RECEIVED and not self._killed:
            self._killed = True
            self.send(Signal("KILL"))

    def _settle(self, outcome: Exit | EdgetainerError) -> None:
        if self._done:
            return
        self._done = True
        if isinstance(outcome, EdgetainerError):
            self.ended.errback(outcome)
        else:
            self.ended.callback(outcome)
