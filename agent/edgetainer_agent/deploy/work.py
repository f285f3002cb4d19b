"""The effects upon one stack: what each entry of the machine's table really does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from edgetainer.domain import compose as compose_files
from edgetainer.errors import EdgetainerError
from edgetainer_agent.container import Container
from edgetainer_agent.deploy.compose import Compose, Finished
from edgetainer_agent.deploy.machine import AWAITED, Effect, Event
from edgetainer_agent.deploy.store import DeployStore, Record, Stack
from edgetainer_agent.docker import Docker

log = Logger()

#: Lines of a failed container's log in a report, and all of a report, characters.
LOG_LINES = 20
MAX_DETAIL = 4_000
_JOB_ENDED = re.compile(r"^container \S+ exited \(0\)\Z", re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """How a deployment stands on this device."""

    deployment_id: str
    revision: int
    status: str
    detail: str

    def document(self) -> dict[str, Any]:
        """As the server's API takes it."""
        return {
            "deployment_id": self.deployment_id,
            "revision": self.revision,
            "status": self.status,
            "detail": self.detail,
        }


class Work:
    """The effects upon one stack, and the detail of the failure to report.

    :param on_report: takes a report and says whether it is news.
    :ivar engine_away: the engine did not answer, so that a failure tells
        nothing about the stack.
    """

    def __init__(
        self,
        *,
        name: str,
        stack: Stack | None,
        revision: int,
        store: DeployStore,
        compose: Compose,
        docker: Docker,
        wait_s: int,
        on_report: Callable[[Report], bool],
    ) -> None:
        self._name = name
        self._stack = stack
        self._revision = revision
        self._store = store
        self._compose = compose
        self._docker = docker
        self._wait_s = wait_s
        self._on_report = on_report
        self._project = docker.prefix + name
        self.engine_away = False
        self._detail = ""
        self._services: tuple[str, ...] = ()

    @property
    def _wanted(self) -> Stack:
        assert self._stack is not None
        return self._stack

    async def run(self, effect: Effect, *, may_fail: bool) -> Event | None:
        """Carry out one effect; an event if its end matters or it failed."""
        action = getattr(self, f"_{effect.name.lower()}")
        try:
            if effect not in AWAITED:
                action()
                return None
            event: Event = await action()
            return event
        except CancelledError:
            raise
        except Exception as error:
            if not may_fail:
                raise
            if not isinstance(error, EdgetainerError | OSError):
                # A mistake of ours, but not one that the other stacks should pay for.
                log.failure("Stack {name}: {effect} failed", name=self._name, effect=effect.value)
            self._fail(str(error) or repr(error))
            return Event.FAILED

    async def _inspect(self) -> Event:
        record = self._store.record(self._name)
        if record is None or not record.applied or record.digest != self._wanted.digest:
            return Event.DIFFERENT
        containers = await self._containers()
        alive = {container.service for container in containers if problem(container) is None}
        return Event.SAME if set(record.services) <= alive else Event.DIFFERENT

    async def _validate(self) -> Event:
        compose_files.parse(self._wanted.compose)
        files = self._store.write_release(self._wanted)
        return self._judge(await self._compose.validate(self._project, files))

    def _mark_applying(self) -> None:
        self._store.write_record(self._name, Record(self._wanted.digest, applied=False))

    async def _up(self) -> Event:
        files = self._store.write_release(self._wanted)
        finished = await self._compose.up(self._project, files, wait_s=self._wait_s)
        if _JOB_ENDED.search(finished.last_lines):
            # All others are up, and Compose only counts a job that did its work
            # as one that did not stay up.
            return Event.SUCCEEDED
        event = self._judge(finished)
        if event is Event.FAILED:
            self._detail = _join(self._detail, await self._last_words())
        return event

    async def _verify(self) -> Event:
        containers = await self._containers()
        problems = [f"{one.name}: {what}" for one in containers if (what := problem(one))]
        if not containers:
            problems = ["no container of the stack is there"]
        if problems:
            self._detail = _join("\n".join(problems), await self._last_words())
            return Event.FAILED
        self._services = tuple(sorted({container.service for container in containers}))
        return Event.SUCCEEDED

    def _commit(self) -> None:
        record = Record(self._wanted.digest, applied=True, services=self._services)
        self._store.write_record(self._name, record)
        self._store.drop_other_releases(self._wanted)

    async def _down(self) -> Event:
        return self._judge(await self._compose.down(self._project))

    def _forget(self) -> None:
        self._store.forget(self._name)

    def _report_updating(self) -> None:
        self._report("updating", "")

    def _report_deployed(self) -> None:
        self._report("deployed", "")

    def _report_failed(self) -> None:
        self._report("failed", self._detail)

    def _report(self, status: str, detail: str) -> None:
        detail = detail[-MAX_DETAIL:]
        news = self._on_report(Report(self._wanted.deployment_id, self._revision, status, detail))
        if news:
            log.info(
                "Stack {name}, version {version}: {status}{detail}",
                name=self._name,
                version=self._wanted.version,
                status=status,
                detail=f": {detail}" if detail else "",
            )

    async def _containers(self) -> tuple[Container, ...]:
        try:
            return await self._docker.containers(self._name)
        except EdgetainerError:
            self.engine_away = True
            raise

    def _judge(self, finished: Finished) -> Event:
        if finished.succeeded:
            return Event.SUCCEEDED
        self._fail(finished.last_lines)
        return Event.FAILED

    def _fail(self, why: str) -> None:
        self._detail = why
        if self._stack is None:
            # There is no deployment to report on, so here it is all that is said.
            log.warn("Stack {name} cannot be removed: {why}", name=self._name, why=why)

    async def _last_words(self) -> str:
        """The end of the log of each container that is not well."""
        words = []
        try:
            for container in await self._containers():
                if problem(container) is not None:
                    text = await self._docker.last_lines(container, LOG_LINES)
                    words.append(f"--- {container.name} ({container.status})\n{text}")
        except EdgetainerError as error:
            words.append(str(error))
        return "\n".join(words)


def problem(container: Container) -> str | None:
    """Why a container does not count as up; None if it does.

    One that ended with 0 did its work, a job beside the services, unless its
    restart policy keeps it running: then someone stopped it by hand.
    """
    if container.state == "running":
        return None if container.health in (None, "healthy") else f"it is {container.health}"
    if container.state == "exited" and container.exit_code == 0 and not container.stays:
        return None
    return f"it is {container.status}"


def _join(*parts: str) -> str:
    return "\n".join(part for part in parts if part)
