"""What a device does so that neither end takes the other for gone.

Two ways, one for each kind of link; both are told when something was heard and
sent last, and say what to do now. Pure: no clock of their own.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from edgetainer.tunnel.keepalive import Keepalive


class Deed(Enum):
    """What to do now."""

    NOTHING = auto()
    PING = auto()  # make the server answer
    SEARCH = auto()  # the server is silent: look for it by another connection


class Vigil(Protocol):
    """When to look, and what to do then; times are seconds of one clock."""

    def due(self, *, heard: float, sent: float) -> float:
        """When to `turn` next.

        :param heard: when something came from the server last.
        :param sent: when something was sent to it last.
        """

    def turn(self, now: float, *, heard: float, survived: float) -> Deed:
        """What to do at this moment.

        :param survived: the longest silence of both ends that the server has ended
            since the last turn.
        """


SILENT_KEEPALIVES = 2.0
"""Keepalives that may pass without a word from the server before it is looked for."""


class Pinging:
    """The device speaks at a fixed pace, whatever else it sends.

    :param keepalive_s: seconds from one PING to the next.
    """

    def __init__(self, keepalive_s: float, *, now: float) -> None:
        self._keepalive_s = keepalive_s
        self._pinged_at = now

    def due(self, *, heard: float, sent: float) -> float:
        """See `Vigil`."""
        return min(self._pinged_at + self._keepalive_s, self._silent_at(heard))

    def turn(self, now: float, *, heard: float, survived: float) -> Deed:
        """See `Vigil`."""
        if now >= self._silent_at(heard):
            return Deed.SEARCH
        if now >= self._pinged_at + self._keepalive_s:
            self._pinged_at = now
            return Deed.PING
        return Deed.NOTHING

    def _silent_at(self, heard: float) -> float:
        return heard + self._keepalive_s * SILENT_KEEPALIVES


SLACK_S = 5.0
"""Seconds that the server's word may be late before the device speaks: the round
trip, and two more tries of a server whose first PING was lost."""

PROMPT_S = 4.0
"""Seconds within which an answer comes at once. A later one tells of an outage and
not of a NAT that had forgotten the device."""

SILENT_S = 15.0
"""Seconds without an answer to our own PING after which the server is looked for."""


class Listening:
    """The device is quiet and the server speaks, after a time that is learned.

    :param keepalive: the search for the longest.
    """

    def __init__(self, keepalive: Keepalive) -> None:
        self._keepalive = keepalive
        self._last_sign = 0.0
        self._asked_at: float | None = None

    def due(self, *, heard: float, sent: float) -> float:
        """See `Vigil`."""
        if self._asked_at is not None:
            return self._asked_at + SILENT_S
        self._last_sign = max(heard, sent)
        return self._last_sign + self._keepalive.seconds + SLACK_S

    def turn(self, now: float, *, heard: float, survived: float) -> Deed:
        """See `Vigil`."""
        if self._asked_at is not None:
            return self._await_answer(now, heard)
        if survived > 0.0:
            self._keepalive.survived(survived, now=now)
        if heard > self._last_sign or now < self._last_sign + self._keepalive.seconds:
            return Deed.NOTHING
        self._asked_at = now
        return Deed.PING

    def _await_answer(self, now: float, heard: float) -> Deed:
        assert self._asked_at is not None
        if heard > self._asked_at:
            if heard - self._asked_at <= PROMPT_S:
                self._keepalive.lost(now=now)
            self._asked_at = None
            return Deed.NOTHING
        if now < self._asked_at + SILENT_S:
            return Deed.NOTHING
        self._asked_at = None
        return Deed.SEARCH
