"""A regular word to the server: how the machine and its containers are."""

from __future__ import annotations

import json
import random as random_module
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from edgetainer.errors import EdgetainerError
from edgetainer_agent.loop import Loop

HEARTBEAT_PATH = "/api/agent/heartbeat"
#: Each wait is drawn from this part of the interval up to all of it, so that
#: devices that came back together do not beat together for ever.
LEAST_PART = 0.9


class Heartbeat:
    """Beats from `start` to `stop`, at once and then at an interval.

    :param request: as `Dialer.request`.
    :param collect: what to say; may raise `EdgetainerError`.
    :param on_revision: called with the revision in each answer.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        request: Callable[..., Deferred[Any]],
        collect: Callable[[], Awaitable[dict[str, Any]]],
        on_revision: Callable[[int], None],
        random: Callable[[float, float], float] = random_module.uniform,
    ) -> None:
        self._request = request
        self._collect = collect
        self._on_revision = on_revision
        self._random = random
        self._interval_s = 0.0
        self._loop = Loop(clock=clock, name="Heartbeat", once=self._beat, on_failure=self._wait)

    def start(self, interval_s: float) -> None:
        """Begin with a beat at once; while it runs only the interval changes."""
        if interval_s != self._interval_s or not self._loop.started:
            self._interval_s = interval_s
            self._loop.wake()

    def stop(self) -> None:
        """Beat no more."""
        self._loop.stop()

    async def _beat(self) -> float:
        answer = await self._request("POST", HEARTBEAT_PATH, json=await self._collect())
        if answer.status != 200:
            raise EdgetainerError("unavailable", f"The server answered {answer.status}.")
        try:
            revision = json.loads(answer.body)["revision"]
        except (ValueError, TypeError, KeyError):
            revision = None
        if type(revision) is int:
            self._on_revision(revision)
        return self._wait()

    def _wait(self) -> float:
        return self._interval_s * self._random(LEAST_PART, 1.0)
