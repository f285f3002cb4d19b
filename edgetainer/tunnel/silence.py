"""Who has been silent for how long: pure, told the time by its caller.

Each has a `Watch` of its own, as its link demands. One that is silent for so long
is pinged; one that stays silent is given up. Nobody is given up without
a ping and time to answer it, so a server that itself stood still (a suspended
machine, a long pause) does not lose every device at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgetainer.tunnel.profiles import Watch

Key = TypeVar("Key", bound=Hashable)


@dataclass
class _Watched:
    watch: Watch
    #: When to look at it next; its other entries in the heap are void.
    due: float
    #: When it was pinged since it was last heard, or None.
    pinged_at: float | None = None
    #: What `pinged_at` refers to.
    heard_at: float = 0.0
    #: Until when an answer to that ping is awaited.
    give_up_at: float = 0.0


@dataclass(frozen=True)
class Silent(Generic[Key]):
    """What to do about one who is silent: ping it, or give it up."""

    key: Key
    give_up: bool


class SilenceTable(Generic[Key]):
    """Watches many at the cost of one look every `ping_after` seconds for each."""

    def __init__(self) -> None:
        self._watched: dict[Key, _Watched] = {}
        # Entries of those who are gone stay until they come up.
        self._heap: list[tuple[float, int, Key, _Watched]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, key: Key, now: float, watch: Watch) -> None:
        """Begin to watch one who was heard just now."""
        entry = self._watched[key] = _Watched(watch, due=now, heard_at=now)
        self._push(now + watch.ping_after, key, entry)

    def change(self, key: Key, now: float, watch: Watch) -> None:
        """Watch one who was heard just now otherwise; unknown keys are no error.

        However often it is called, the heap grows by one entry a `ping_after` at most.
        """
        entry = self._watched.get(key)
        if entry is None:
            return
        entry.watch, entry.heard_at, entry.pinged_at = watch, now, None
        if now + watch.ping_after < entry.due:
            self._push(now + watch.ping_after, key, entry)

    def forget(self, key: Key) -> None:
        """Stop watching; unknown keys are no error."""
        self._watched.pop(key, None)

    def due(self) -> float | None:
        """When to call `turn` next, or None while nobody is watched."""
        while self._heap and self._is_void(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def turn(self, now: float, heard_at: Callable[[Key], float]) -> Iterator[Silent[Key]]:
        """Whoever must be pinged or given up at `now`; the latter are forgotten.

        :param heard_at: tells when one was last heard.
        """
        while (due := self.due()) is not None and due <= now:
            _, _, key, entry = heapq.heappop(self._heap)
            heard = heard_at(key)
            if heard != entry.heard_at:
                entry.heard_at, entry.pinged_at = heard, None
            watch = entry.watch
            if now < heard + watch.ping_after:
                self._push(heard + watch.ping_after, key, entry)
            elif entry.pinged_at is None:
                entry.pinged_at = now
                answer_by = now + watch.limit - watch.ping_after
                entry.give_up_at = max(heard + watch.limit, answer_by)
                # Once it has answered, its next ping may be due before that.
                self._push(min(entry.give_up_at, now + watch.ping_after), key, entry)
                yield Silent(key, give_up=False)
            elif now < entry.give_up_at:
                self._push(entry.give_up_at, key, entry)
            else:
                del self._watched[key]
                yield Silent(key, give_up=True)

    def _is_void(self, due: float, serial: int, key: Key, entry: _Watched) -> bool:
        return self._watched.get(key) is not entry or due != entry.due

    def _push(self, due: float, key: Key, entry: _Watched) -> None:
        entry.due = due
        # The serial keeps the heap from comparing keys.
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, key, entry))
