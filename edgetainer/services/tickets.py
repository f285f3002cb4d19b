"""Single-use tickets: what a browser shows where it cannot send a header.

A ticket stands for a value for some seconds and for one use. It travels in a
WebSocket's first message or once in an address, so it is worth nothing
afterwards. Only its hash is kept, so that a look into memory or a log finds
nothing to use.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from edgetainer.errors import EdgetainerError

T = TypeVar("T")

# Unused tickets kept, some hundred bytes each; the oldest go first. A thousand
# people reloading at once stay below it.
MOST = 10_000
# Of one person, so that nobody can push out the others' by asking all the time.
# A browser with every tab reloading asks for some ten.
MOST_EACH = 100


@dataclass(frozen=True)
class _Kept(Generic[T]):
    expires: float
    owner: str
    value: T


class Tickets(Generic[T]):
    """Tickets of one kind.

    :param lifetime_s: seconds in which a ticket must be used.
    :param token: makes an unguessable text (256 bits).
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        lifetime_s: float,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._token = token
        # By the ticket's hash, oldest first, as everything here.
        self._values: OrderedDict[str, _Kept[T]] = OrderedDict()
        self._held: dict[str, OrderedDict[str, None]] = {}

    def issue(self, value: T, *, owner: str) -> str:
        """A new ticket for `value`.

        :param owner: the id of whoever asked for it.
        """
        now = self._clock.seconds()
        while self._values:
            oldest, kept = next(iter(self._values.items()))
            if kept.expires > now and len(self._values) < MOST:
                break
            self._drop(oldest)
        if len(self._held.get(owner, ())) >= MOST_EACH:
            self._drop(next(iter(self._held[owner])))
        ticket = self._token()
        key = _hashed(ticket)
        self._values[key] = _Kept(now + self._lifetime_s, owner, value)
        self._held.setdefault(owner, OrderedDict())[key] = None
        return ticket

    def redeem(self, ticket: str) -> T:
        """The value, once.

        :raises EdgetainerError: ``ticket_invalid``: unknown, used or expired.
        """
        key = _hashed(ticket)
        kept = self._drop(key) if key in self._values else None
        if kept is None or kept.expires <= self._clock.seconds():
            raise EdgetainerError("ticket_invalid", "Ask for a new ticket and use it at once.")
        return kept.value

    def _drop(self, key: str) -> _Kept[T]:
        kept = self._values.pop(key)
        held = self._held[kept.owner]
        del held[key]
        if not held:
            del self._held[kept.owner]
        return kept


def _hashed(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).hexdigest()
