"""Link profiles: what a device's link costs decides how often it is used.

*standard* is for links that cost nothing: a device that is gone is noticed
within 15 seconds. *metered* is for links that are paid by the byte: as quiet as
the network lets it be, for a month under 3 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgetainer.tunnel import keepalive
from edgetainer.tunnel.limits import KEEPALIVE


@dataclass(frozen=True)
class LinkProfile:
    """How a device behaves on its link.

    :param name: as in settings and on the wire.
    :param learns: whether the keepalive is learned and the server's to send, or
        fixed and the device's.
    :param heartbeat_s: seconds between reports; None as the server says.
    :param polls: whether the device looks for news when nobody rings; the answers
        to its reports name the revision too.
    :param redial_most_s: largest bound of the wait between two rounds of dialling,
        in seconds, and between two WebSockets that are tried for a connection in
        trouble. One attempt that nobody answers costs some 12 KB.
    :param ask_most_s: seconds between two questions, in the end, whether UDP passes
        again: 3.7 KB where it does not. Each new network is asked at once.
    """

    name: str
    learns: bool
    heartbeat_s: float | None
    polls: bool
    redial_most_s: float
    ask_most_s: float


STANDARD = LinkProfile(
    "standard", learns=False, heartbeat_s=None, polls=True, redial_most_s=45.0, ask_most_s=600.0
)
METERED = LinkProfile(
    "metered", learns=True, heartbeat_s=900.0, polls=False, redial_most_s=300.0, ask_most_s=21_600.0
)

PROFILES = {profile.name: profile for profile in (STANDARD, METERED)}


@dataclass(frozen=True)
class Watch:
    """How the server watches a session that may be silent.

    :param ping_after: seconds of silence after which it says something.
    :param limit: seconds of silence after which the device is offline.
    """

    ping_after: float
    limit: float


ANSWER_S = 3.0
"""Seconds to answer a PING: a satellite round trip and a lost packet or two."""

STANDARD_WATCH = Watch(ping_after=KEEPALIVE + 1.0, limit=KEEPALIVE + 1.0 + ANSWER_S)
"""The device speaks every 10 s; one second more, so that a healthy one is never
asked, and offline within 15 s as people count them."""


def asked_keepalive(fields: Mapping[str, Any]) -> float | None:
    """The keepalive that a device asks of its server, within bounds; None: none asked.

    :param fields: of its hello; JSON, otherwise unchecked.
    """
    if fields.get("profile") != METERED.name:
        return None
    wanted = fields.get("keepalive_s")
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return keepalive.SAFE
    return bounded(wanted)


def bounded(seconds: float) -> float:
    """A keepalive that a peer asked for, within what is ever used."""
    return float(min(max(seconds, keepalive.LEAST), keepalive.MOST))


def watch_for(keepalive_s: float | None) -> Watch:
    """How to watch a device that asked for this keepalive, or for none.

    It is offline after two keepalives that it did not answer.
    """
    if keepalive_s is None:
        return STANDARD_WATCH
    return Watch(ping_after=keepalive_s, limit=2 * keepalive_s + ANSWER_S)
