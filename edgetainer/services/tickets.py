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
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from edgetainer.errors import EdgetainerError

T = TypeVar("T")

# Unused tickets kept, some hundred bytes each; the oldest go first. A thousand
# people reloading at once stay below it.
MOST = 10_000


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
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def issue(self, value: T) -> str:
        """A new ticket for `value`."""
        now = self._clock.seconds()
        while self._values:
            expires, _ = next(iter(self._values.values()))
            if expires > now and len(self._values) < MOST:
                break
            self._values.popitem(last=False)
        ticket = self._token()
        self._values[_hashed(ticket)] = (now + self._lifetime_s, value)
        return ticket

    def redeem(self, ticket: str) -> T:
        """The value, once.

        :raises EdgetainerError: ``ticket_invalid``: unknown, used or expired.
        """
        expires, value = self._values.pop(_hashed(ticket), (0.0, None))
        if value is None or expires <= self._clock.seconds():
            raise EdgetainerError("ticket_invalid", "Ask for a new ticket and use it at once.")
        return value


def _hashed(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).hexdigest()
