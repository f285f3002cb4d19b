"""The links that are measured, and the floors of what they must carry: one table.

Round trips are in the table and halved for the two directions; everything else is
per direction. Jitter of a round trip is halved likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Way = Literal["up", "down"]

#: Bytes of an IPv4 packet that are payload at best: 1,500 less IPv4, UDP, QUIC's
#: short header with an 8 byte connection id, its tag, and a STREAM frame's header.
PAYLOAD_SHARE = (1500 - 20 - 8 - 11 - 16 - 8) / 1500


@dataclass(frozen=True)
class Link:
    """One direction of a link."""

    rate_mbit: float
    delay_ms: float
    jitter_ms: float = 0.0
    queue_ms: float = 100.0
    #: Share of packets lost at random.
    loss: float = 0.0
    #: Gilbert-Elliott: the chances, per packet, to enter and to leave a burst of losses.
    burst_enter: float = 0.0
    burst_leave: float = 0.0
    #: Share of packets that are late by `late_by_ms` and may be overtaken.
    late: float = 0.0
    late_by_ms: float = 0.0

    def arguments(self) -> str:
        """As the emulator's command `set` takes it."""
        values = {
            "rate": self.rate_mbit * 1e6,
            "delay": self.delay_ms,
            "jitter": self.jitter_ms,
            "queue": self.queue_ms,
            "loss": self.loss,
            "enter": self.burst_enter,
            "leave": self.burst_leave,
            "late": self.late,
            "late_by": self.late_by_ms,
        }
        return " ".join(f"{key}={value:.10g}" for key, value in values.items())


@dataclass(frozen=True)
class Floor:
    """What a profile must reach; echo limits in ms, or as multiples of the idle p50."""

    goodput_mbit: float
    aim_mbit: float
    echo_p50: float
    echo_p95: float
    relative: bool = False

    def echo_limits_ms(self, idle_p50_ms: float) -> tuple[float, float]:
        """The p50 and p95 that may not be exceeded, given the measured idle p50."""
        factor = idle_p50_ms if self.relative else 1.0
        return self.echo_p50 * factor, self.echo_p95 * factor


@dataclass(frozen=True)
class Profile:
    """A link in both directions, which way the bulk goes, and the floor."""

    name: str
    up: Link
    down: Link
    floor: Floor
    bulk: Way = "up"
    #: Measured on a second connection: the first one came to know the path.
    known_path: bool = field(default=False)


def _profile(
    name: str, rate: float, rtt: float, floor: Floor, *, jitter: float = 0.0,
    queue: float = 100.0, loss: float = 0.0, burst: tuple[float, float] = (0.0, 0.0),
) -> Profile:  # fmt: skip
    link = Link(
        rate_mbit=rate, delay_ms=rtt / 2, jitter_ms=jitter / 2, queue_ms=queue, loss=loss,
        burst_enter=burst[0], burst_leave=burst[1],
    )  # fmt: skip
    return Profile(name, link, link, floor)


def _lte(name: str, bulk: Way) -> Profile:
    up = Link(
        rate_mbit=3, delay_ms=35, jitter_ms=12.5, queue_ms=400, loss=0.005, late=0.01, late_by_ms=30
    )
    down = replace(up, rate_mbit=12)
    carried = (up if bulk == "up" else down).rate_mbit * PAYLOAD_SHARE * (1 - up.loss)
    floor = Floor(0.85 * carried, 0.95 * carried, 1.4, 2.5, relative=True)
    return Profile(name, up, down, floor, bulk)


_GEO = _profile("geo", 50, 600, Floor(30, 44, 610, 950), loss=0.01)

#: Every profile by its name, in the order of the report.
PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        _profile("lan", 1000, 0.5, Floor(150, 300, 5, 12), queue=20),
        _profile("clean", 20, 80, Floor(18.2, 18.7, 90, 115)),
        _profile("bloat", 20, 80, Floor(18.2, 18.7, 105, 135), queue=1000),
        _profile("loss1", 20, 80, Floor(18.0, 18.5, 90, 130), loss=0.01),
        # In 1.2 % of the time every packet is lost, for 4 packets at a time.
        _profile("burst", 20, 80, Floor(18.0, 18.5, 105, 130), jitter=8, burst=(0.003, 0.25)),
        _profile("loss3", 20, 150, Floor(16.6, 17.8, 158, 200), loss=0.03),
        _profile("loss5", 5, 300, Floor(3.8, 4.2, 312, 520), queue=200, loss=0.05),
        _GEO,
        replace(
            _GEO, name="geo-known", floor=replace(_GEO.floor, goodput_mbit=40), known_path=True
        ),
        _lte("lte-up", "up"),
        _lte("lte-down", "down"),
        _profile("bad", 1, 600, Floor(0.55, 0.7, 1.1, 2.2, relative=True), loss=0.10),
    )
}
