"""Slows down who guesses: so many attempts in so much time for each key."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from edgetainer.errors import EdgetainerError

ATTEMPTS = 10
WINDOW = timedelta(minutes=15)
# Keys remembered, some 500 bytes each: an attacker with more addresses than
# this pushes the oldest out, but each account's own count is touched each time.
KEYS_LIMIT = 50_000


class TooManyAttempts(EdgetainerError):
    """`too_many_attempts`, with the seconds to wait."""

    def __init__(self, retry_after_s: int) -> None:
        minutes = -(-retry_after_s // 60)
        super().__init__("too_many_attempts", f"Wait {minutes} minute{'s' if minutes > 1 else ''}.")
        self.retry_after_s = retry_after_s


def address_key(address: str) -> str:
    """The part of an address that one customer has: IPv6 is handed out by /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class Throttle:
    """Counts attempts within a sliding window.

    :param now: the time.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        attempts: int = ATTEMPTS,
        window: timedelta = WINDOW,
    ) -> None:
        self._now = now
        self._attempts = attempts
        self._window = window
        self._tried: OrderedDict[str, list[datetime]] = OrderedDict()

    def attempt(self, keys: Iterable[str]) -> None:
        """Count an attempt under each key, before the work that it costs.

        :raises TooManyAttempts: one of the keys has had its number; then none counts.
        """
        now = self._now()
        keys = list(keys)
        for key in keys:
            # None from the future: a clock that was set back must not lock out for longer.
            tried = self._tried.get(key, ())
            recent = [at for at in tried if timedelta(0) <= now - at < self._window]
            if recent:
                self._tried[key] = recent
            else:
                self._tried.pop(key, None)
            if len(recent) >= self._attempts:
                left = recent[0] + self._window - now
                raise TooManyAttempts(max(1, int(left.total_seconds())))
        for key in keys:
            self._tried.setdefault(key, []).append(now)
            self._tried.move_to_end(key)
        while len(self._tried) > KEYS_LIMIT:
            self._tried.popitem(last=False)

    def forgive(self, keys: Iterable[str]) -> None:
        """The attempt was right: forget the wrong ones before it."""
        for key in keys:
            self._tried.pop(key, None)
