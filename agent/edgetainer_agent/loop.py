"""A coroutine that repeats something, with waits that can be cut short.

What the agent does again and again has three needs in common: it never runs
twice at a time, it stops at once, and a failure is logged and not the end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError

log = Logger()


class Loop:
    """Runs `once` when woken, and again after as many seconds as it said.

    :param once: does the work and returns the seconds until it is due again,
        or None to sleep until `wake`.
    :param on_failure: seconds until it is tried again after an exception.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        name: str,
        once: Callable[[], Awaitable[float | None]],
        on_failure: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._name = name
        self._once = once
        self._on_failure = on_failure
        # Whoever holds the newest token is the running coroutine; an older one,
        # cancelled while something it awaited hid that, ends when it sees it.
        self._token: object | None = None
        self._running: Deferred[None] | None = None
        self._nap: Deferred[None] | None = None
        self._again = False

    @property
    def started(self) -> bool:
        """Whether it was woken since the last `stop`."""
        return self._token is not None

    def wake(self) -> None:
        """Run now; if it is running, run once more afterwards."""
        self._again = True
        if self._nap is not None:
            self._nap.cancel()
        elif self._token is None:
            self._token = token = object()
            running = self._running = Deferred.fromCoroutine(self._run(token))
            running.addErrback(self._ended)

    def stop(self) -> None:
        """Cancel what is under way. `wake` begins again."""
        self._token = None
        running, self._running = self._running, None
        self._nap = None
        if running is not None:
            running.cancel()

    async def _run(self, token: object) -> None:
        while self._token is token:
            self._again = False
            try:
                delay = await self._once()
            except CancelledError:
                if self._token is not token:
                    raise
                delay = self._on_failure()
            except (EdgetainerError, OSError) as error:
                # A full disk, for one: a line each time, and not a traceback.
                log.warn("{name}: {why}", name=self._name, why=error)
                delay = self._on_failure()
            except Exception:
                log.failure("{name} failed", name=self._name)
                delay = self._on_failure()
            if self._token is token and not self._again:
                await self._rest(token, delay)

    async def _rest(self, token: object, delay: float | None) -> None:
        nap: Deferred[None] = Deferred() if delay is None else deferLater(self._clock, delay)
        self._nap = nap
        try:
            await nap
        except CancelledError:
            if self._token is not token:
                raise  # stopped, and not woken
        finally:
            if self._nap is nap:
                self._nap = None

    def _ended(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            log.failure("{name} ended", failure, name=self._name)
