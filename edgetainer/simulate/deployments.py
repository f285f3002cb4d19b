"""How a simulated device obeys: every stack takes a while, and some fail.

What is wanted is level-triggered by revision, as on a real device. Nothing is kept
from one start to the next: a device that starts anew deploys anew.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from edgetainer.domain import compose
from edgetainer.errors import EdgetainerError
from edgetainer_agent.container import Container
from edgetainer_agent.deploy.store import Stack, Target
from edgetainer_agent.deploy.work import Report


@dataclass(frozen=True)
class Obedience:
    """How deployments go.

    :param failing: share of deployments that fail, 0 to 1.
    :param pull_s: mean seconds that images take to arrive; each deployment takes
        between a half and one and a half times as long.
    """

    failing: float = 0.0
    pull_s: float = 2.0


@dataclass
class _Running:
    stack: Stack
    containers: tuple[Container, ...] = ()
    timer: IDelayedCall | None = None


class Deployments:
    """The stacks of one device.

    :param name: the device's; container ids follow from it.
    :param on_report: called with each change of a deployment's standing.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        name: str,
        obedience: Obedience,
        chance: random.Random,
        on_report: Callable[[Report], None],
    ) -> None:
        self._clock = clock
        self._name = name
        self._obedience = obedience
        self._chance = chance
        self._on_report = on_report
        self._stacks: dict[str, _Running] = {}
        self._reports: dict[str, Report] = {}
        self.revision = -1

    @property
    def reports(self) -> tuple[Report, ...]:
        """The newest of each wanted deployment."""
        return tuple(self._reports.values())

    @property
    def containers(self) -> tuple[Container, ...]:
        """What runs."""
        return tuple(one for running in self._stacks.values() for one in running.containers)

    def take(self, target: Target) -> None:
        """Begin what is new in a target, and end what is no longer wanted."""
        if target.revision < self.revision:
            return
        self.revision = target.revision
        wanted = {stack.name: stack for stack in target.stacks}
        for name in self._stacks.keys() - wanted.keys():
            self._drop(name)
        ids = {stack.deployment_id for stack in target.stacks}
        self._reports = {id_: report for id_, report in self._reports.items() if id_ in ids}
        for stack in target.stacks:
            running = self._stacks.get(stack.name)
            if running is None or running.stack.digest != stack.digest:
                self._begin(stack)
            elif running.stack.deployment_id != stack.deployment_id:
                running.stack = stack
                if running.timer is None:
                    self._report(stack, "deployed")
            elif (last := self._reports.get(stack.deployment_id)) is not None:
                self._report(stack, last.status, last.detail)

    def stop(self) -> None:
        """Do nothing more."""
        for name in list(self._stacks):
            self._drop(name)

    def _drop(self, name: str) -> None:
        timer = self._stacks.pop(name).timer
        if timer is not None:
            timer.cancel()

    def _begin(self, stack: Stack) -> None:
        before = self._stacks.get(stack.name)
        if before is not None:
            self._drop(stack.name)
        running = _Running(stack, before.containers if before is not None else ())
        self._stacks[stack.name] = running
        self._report(stack, "updating")
        seconds = self._obedience.pull_s * self._chance.uniform(0.5, 1.5)
        fails = self._chance.random() < self._obedience.failing
        running.timer = self._clock.callLater(seconds, self._end, running, fails)

    def _end(self, running: _Running, fails: bool) -> None:
        running.timer = None
        if fails:
            self._report(running.stack, "failed", "It was simulated that this deployment fails.")
            return
        try:
            services = compose.parse(running.stack.compose).services
        except EdgetainerError as error:
            self._report(running.stack, "failed", str(error))
            return
        running.containers = tuple(
            self._container(running.stack.name, service.name, service.image) for service in services
        )
        self._report(running.stack, "deployed")

    def _container(self, stack: str, service: str, image: str) -> Container:
        name = f"{stack}-{service}-1"
        return Container(
            id=hashlib.sha256(f"{self._name}/{name}".encode()).hexdigest(),
            name=name,
            stack=stack,
            service=service,
            number=1,
            image=image,
            state="running",
            health=None,
            exit_code=None,
            ports=(),
            started_at="",
            network_mode="bridge",
            addresses=(),
        )

    def _report(self, stack: Stack, status: str, detail: str = "") -> None:
        report = Report(stack.deployment_id, self.revision, status, detail)
        self._reports[stack.deployment_id] = report
        self._on_report(report)

    def documents(self) -> list[dict[str, Any]]:
        """The containers as the server's API takes them."""
        return [container.document() for container in self.containers]
