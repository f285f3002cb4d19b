"""Carries out what the machine decides, one stack after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from edgetainer_agent.deploy.compose import Compose
from edgetainer_agent.deploy.machine import RESTING, TABLE, Event, State, step
from edgetainer_agent.deploy.store import DeployStore, Stack, Target
from edgetainer_agent.deploy.work import Report, Work
from edgetainer_agent.docker import Docker

log = Logger()

#: A failed target is tried again after this many seconds, doubling to the second.
RETRY_FIRST_S = 60.0
RETRY_MAX_S = 3_600.0
#: Seconds between looks for an engine that is away, a restart of it for instance.
ENGINE_RETRY_S = 5.0


@dataclass
class _Failure:
    """Why and when a target failed, so that it is not tried too often."""

    what: str
    attempts: int
    next_at: float


class Runner:
    """Brings the device to its newest target and keeps it there.

    :param on_report: called with each change of a deployment's standing.
    :param wait_s: longest wait for a stack's containers to be healthy.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        store: DeployStore,
        compose: Compose,
        docker: Docker,
        on_report: Callable[[Report], None],
        wait_s: int,
    ) -> None:
        self._clock = clock
        self._store = store
        self._compose = compose
        self._docker = docker
        self._on_report = on_report
        self._wait_s = wait_s
        self._target: Target | None = None
        self._states: dict[str, State] = {}
        self._failures: dict[str, _Failure] = {}
        self._reports: dict[str, Report] = {}
        self._running: Deferred[None] | None = None
        self._opened = False
        self._timer: IDelayedCall | None = None
        self._again = False
        self._stopped = False

    @property
    def revision(self) -> int:
        """Of the newest target; -1 before the first."""
        return -1 if self._target is None else self._target.revision

    @property
    def reports(self) -> tuple[Report, ...]:
        """The newest of each wanted deployment."""
        return tuple(self._reports.values())

    def start(self) -> None:
        """Go on from what was saved: the device runs its last target offline too.

        A disk that is full or broken is no reason to be unreachable as well.
        """
        self._compose.end_leftovers(self._docker.prefix)
        try:
            self._open()
        except OSError as error:
            log.error("The folder of deployments cannot be used: {why}", why=error)
        if self._target is not None:
            self.reconcile()

    def _open(self) -> None:
        if not self._opened:
            self._store.open()
            self._target = self._store.load_target()
            self._opened = True

    async def stop(self) -> None:
        """End a running step; what it left is applied again at the next start."""
        self._stopped = True
        self._wait_until(None)
        if self._running is not None:
            self._running.cancel()
            await self._idle()

    def take(self, target: Target) -> None:
        """A target from the server: saved first, then acted upon.

        An older revision than the newest is ignored: answers may overtake.

        :raises OSError: it cannot be saved, and so is not taken.
        """
        self._open()
        if target.revision < self.revision:
            log.info(
                "Ignored revision {old}, older than {new}", old=target.revision, new=self.revision
            )
            return
        if target != self._target:
            self._store.save_target(target)
            self._target = target
        self.reconcile()

    def reconcile(self) -> None:
        """Look at everything again; called for each target and now and then."""
        if self._stopped:
            return
        self._again = True
        if self._running is None:
            self._running = Deferred.fromCoroutine(self._reconcile())
            self._running.addErrback(self._broke)
            if self._running is not None and self._running.called:
                self._running = None

    async def _reconcile(self) -> None:
        try:
            while self._again and not self._stopped:
                self._again = False
                await self._round()
        finally:
            self._running = None

    async def _round(self) -> None:
        target = self._target
        if target is None:
            return
        wanted = {stack.name: stack for stack in target.stacks}
        ids = {stack.deployment_id for stack in target.stacks}
        for deployment_id in set(self._reports) - ids:
            del self._reports[deployment_id]
        for name in sorted(self._store.known() - set(wanted)):
            await self._drive(name, None, target.revision, Event.UNWANTED)
            if self._again:
                return
        for name, stack in wanted.items():
            if self._is_due(stack):
                await self._drive(name, stack, target.revision, Event.WANTED)
            else:
                self._report_again(stack, target.revision)
            if self._again:
                return  # a newer target: what follows here may be outdated
        dues = [one.next_at for name, one in self._failures.items() if name in wanted]
        if self._store.known() - set(wanted):
            dues.append(self._clock.seconds() + RETRY_FIRST_S)
        self._wait_until(min(dues, default=None))

    def _wait_until(self, due: float | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if due is not None:
            delay = max(0.0, due - self._clock.seconds())
            self._timer = self._clock.callLater(delay, self.reconcile)

    def _is_due(self, stack: Stack) -> bool:
        failure = self._failures.get(stack.name)
        return (
            failure is None
            or failure.what != _attempt(stack)
            or self._clock.seconds() >= failure.next_at
        )

    async def _drive(self, name: str, stack: Stack | None, revision: int, event: Event) -> None:
        state = self._states.get(name, State.ABSENT)
        work = Work(
            name=name,
            stack=stack,
            revision=revision,
            store=self._store,
            compose=self._compose,
            docker=self._docker,
            wait_s=self._wait_s,
            on_report=self.report,
        )
        while True:
            state, effects = step(state, event)
            self._states[name] = state
            log.debug("Stack {name}: {event} -> {state}", name=name, event=event, state=state)
            ended = None
            for effect in effects:
                ended = await work.run(effect, may_fail=(state, Event.FAILED) in TABLE)
                if ended is not None:
                    break
            if ended is None:
                break
            event = ended
        assert state in RESTING
        if state is State.FAILED and stack is not None:
            self._remember_failure(stack, work.engine_away)
        else:
            self._failures.pop(name, None)
        if state is State.ABSENT:
            del self._states[name]

    def _remember_failure(self, stack: Stack, engine_away: bool) -> None:
        last = self._failures.get(stack.name)
        what = _attempt(stack)
        attempts = last.attempts + 1 if last is not None and last.what == what else 1
        # The exponent is bounded too: years of failures must not overflow it.
        delay = min(RETRY_MAX_S, RETRY_FIRST_S * 2.0 ** min(attempts - 1, 10))
        if engine_away:
            # No attempt at this target; looking costs nothing and says nothing.
            attempts, delay = attempts - 1, ENGINE_RETRY_S
        self._failures[stack.name] = _Failure(what, attempts, self._clock.seconds() + delay)

    def report(self, report: Report) -> bool:
        """Keep the newest standing of a deployment and tell of a change, if it is one."""
        if self._reports.get(report.deployment_id) == report:
            return False
        self._reports[report.deployment_id] = report
        self._on_report(report)
        return True

    def _report_again(self, stack: Stack, revision: int) -> None:
        last = self._reports.get(stack.deployment_id)
        if last is not None:
            self.report(Report(last.deployment_id, revision, last.status, last.detail))

    def _broke(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            log.failure("Reconciling broke off; it starts again at the next look", failure)
        # A state between two rests means nothing after an interruption.
        self._states.clear()

    async def _idle(self) -> None:
        # Cancelling is answered at once, or after a thread's call at the latest.
        if self._running is not None:
            waiting: Deferred[None] = Deferred()
            self._running.addBoth(lambda _: waiting.callback(None))
            await waiting


def _attempt(stack: Stack) -> str:
    # Somebody who deploys the same again wants it tried again at once.
    return f"{stack.deployment_id} {stack.digest}"
