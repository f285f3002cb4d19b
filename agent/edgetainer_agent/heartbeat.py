"""A regular word to the server: how the machine and its containers are.

On a link that is paid by the byte only what changed is told: the server keeps
what it was told last.
"""

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


#: Share by which a figure must have moved to be told anew where bytes are spared.
LEAST_CHANGE = 0.02
#: Seconds after which all is told anew even so; the server may have lost it.
TELL_ALL_S = 86_400.0


class News:
    """What the server has not been told, or otherwise."""

    def __init__(self) -> None:
        self._told: dict[str, Any] = {}

    def of(self, said: dict[str, Any]) -> dict[str, Any]:
        """Those of the fields, and of their metrics, that are news."""
        news = {}
        for name, value in said.items():
            told = self._told.get(name)
            if name == "metrics" and told is not None:
                value = {n: v for n, v in value.items() if _moved(told.get(n), v)}
                if value:
                    news[name] = value
            elif value != told:
                news[name] = value
        return news

    def told(self, news: dict[str, Any]) -> None:
        """The server has taken these."""
        metrics = {**self._told.get("metrics", {}), **news.get("metrics", {})}
        self._told.update(news)
        if metrics:
            self._told["metrics"] = metrics

    def forget(self) -> None:
        """Another server, or one that may have forgotten: all is news again."""
        self._told.clear()


def _moved(told: Any, value: Any) -> bool:
    if told is None or value is None:
        return told is not value
    return bool(abs(value - told) > LEAST_CHANGE * abs(told))


class Heartbeat:
    """Beats from `start` to `stop`, at once and then at an interval.

    :param request: as `Dialer.request`.
    :param collect: what to say; may raise `EdgetainerError`.
    :param on_revision: called with the revision in each answer.
    :param sparing: where bytes are spared: gives the seconds after which the server
        would ask for a sign of life. Then only news is told, and a beat takes the
        place of such a sign: it comes shortly before the one nearest to its interval.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        request: Callable[..., Deferred[Any]],
        collect: Callable[[], Awaitable[dict[str, Any]]],
        on_revision: Callable[[int], None],
        random: Callable[[float, float], float] = random_module.uniform,
        sparing: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._keepalive_s = sparing
        self._news = None if sparing is None else News()
        self._all_told_at = 0.0
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
        """Beat no more; what was told is told anew when it starts again."""
        self._loop.stop()
        if self._news is not None:
            self._news.forget()

    async def _beat(self) -> float:
        said = await self._collect()
        if self._news is not None:
            if self._clock.seconds() - self._all_told_at >= TELL_ALL_S:
                self._news.forget()
                self._all_told_at = self._clock.seconds()
            said = self._news.of(said)
        answer = await self._request("POST", HEARTBEAT_PATH, json=said)
        if answer.status != 200:
            raise EdgetainerError("unavailable", f"The server answered {answer.status}.")
        if self._news is not None:
            self._news.told(said)
        try:
            revision = json.loads(answer.body)["revision"]
        except (ValueError, TypeError, KeyError):
            revision = None
        if type(revision) is int:
            self._on_revision(revision)
        return self._wait()

    def _wait(self) -> float:
        if self._keepalive_s is not None:
            keepalive_s = self._keepalive_s()
            signs = max(1, round(self._interval_s / keepalive_s))
            return keepalive_s * (signs - self._random(0.02, 1.0 - LEAST_PART))
        return self._interval_s * self._random(LEAST_PART, 1.0)
