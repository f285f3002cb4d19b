"""Telling the server how deployments stand, until it has heard.

Only the newest standing of each deployment is kept: what it was before is of no
use to a server that missed it, and so there is never more than one per stack.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer_agent.deploy.work import Report
from edgetainer_agent.loop import Loop

log = Logger()

STATUS_PATH = "/api/agent/status"
#: Seconds until a failed report is repeated: full jitter up to this.
RETRY_S = 30.0


class Reporter:
    """Sends reports while there is a connection and keeps them while there is none.

    :param request: as `Dialer.request`.
    :param containers: the container list that goes along; None: not known just now.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        request: Callable[..., Deferred[Any]],
        containers: Callable[[], Awaitable[list[dict[str, Any]] | None]],
        random: Callable[[float, float], float] = random_module.uniform,
    ) -> None:
        self._request = request
        self._containers = containers
        self._waiting: dict[str, Report] = {}
        self._connected = False
        self._loop = Loop(
            clock=clock,
            name="Deployment report",
            once=self._send,
            on_failure=lambda: random(0.0, RETRY_S),
        )

    @property
    def waiting(self) -> tuple[Report, ...]:
        """What the server has not confirmed."""
        return tuple(self._waiting.values())

    def add(self, report: Report) -> None:
        """A deployment stands otherwise than before."""
        self._waiting[report.deployment_id] = report
        if self._connected:
            self._loop.wake()

    def connected(self, reports: Iterable[Report]) -> None:
        """Tell all anew: what was sent last may have been lost with the connection."""
        self._connected = True
        for report in reports:
            self._waiting[report.deployment_id] = report
        self._loop.wake()

    def disconnected(self) -> None:
        """Keep what comes until the next connection."""
        self._connected = False
        self._loop.stop()

    async def _send(self) -> None:
        if not self._waiting:
            return
        sending = dict(self._waiting)
        answer = await self._request(
            "POST",
            STATUS_PATH,
            json={
                "deployments": [report.document() for report in sending.values()],
                "containers": await self._containers(),
            },
        )
        if answer.status == 429 or answer.status >= 500:
            raise EdgetainerError("unavailable", f"The server answered {answer.status}.")
        if answer.status >= 400:
            # It will not like it better next time.
            log.error("The server refused a report with status {status}", status=answer.status)
        for deployment_id, report in sending.items():
            if self._waiting.get(deployment_id) == report:
                del self._waiting[deployment_id]
