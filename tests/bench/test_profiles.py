"""The table of links is the one that was asked for, and the emulator is told all of it."""

from __future__ import annotations

import re

import pytest

from bench.emulator import SOURCE
from bench.profiles import PROFILES, Link


@pytest.mark.parametrize(
    ("name", "rate", "rtt", "loss", "queue"),
    [
        ("lan", 1000, 0.5, 0, 20),
        ("clean", 20, 80, 0, 100),
        ("bloat", 20, 80, 0, 1000),
        ("loss1", 20, 80, 0.01, 100),
        ("burst", 20, 80, 0, 100),
        ("loss3", 20, 150, 0.03, 100),
        ("loss5", 5, 300, 0.05, 200),
        ("geo", 50, 600, 0.01, 100),
        ("geo-known", 50, 600, 0.01, 100),
        ("bad", 1, 600, 0.10, 100),
    ],
)
def test_a_symmetric_link(name: str, rate: float, rtt: float, loss: float, queue: float) -> None:
    profile = PROFILES[name]
    assert profile.up == profile.down
    link = profile.up
    assert (link.rate_mbit, link.loss, link.queue_ms) == (rate, loss, queue)
    assert profile.up.delay_ms + profile.down.delay_ms == rtt
    assert profile.known_path == (name == "geo-known")


def test_bursts_lose_about_one_in_eighty() -> None:
    link = PROFILES["burst"].up
    share = link.burst_enter / (link.burst_enter + link.burst_leave)
    assert 0.0115 < share < 0.0125
    assert link.jitter_ms * 2 == 8


def test_lte_is_measured_both_ways() -> None:
    up, down = PROFILES["lte-up"], PROFILES["lte-down"]
    assert (up.bulk, down.bulk) == ("up", "down")
    assert (up.up, up.down) == (down.up, down.down)
    assert (up.up.rate_mbit, up.down.rate_mbit) == (3, 12)
    assert up.up.jitter_ms + up.down.jitter_ms == 25
    # 85 % of the rate, less headers and losses.
    assert 2.3 < up.floor.goodput_mbit < 0.85 * 3
    assert down.floor.goodput_mbit == pytest.approx(4 * up.floor.goodput_mbit)


def test_echo_limits_are_milliseconds_or_multiples_of_the_idle_echo() -> None:
    assert PROFILES["clean"].floor.echo_limits_ms(81.0) == (90, 115)
    assert PROFILES["bad"].floor.echo_limits_ms(610.0) == pytest.approx((671.0, 1342.0))


def test_every_property_of_a_link_is_a_word_of_the_emulator() -> None:
    link = Link(20, 40, 4, 100, 0.01, 0.003, 0.25, 0.02, 30)
    words = dict(pair.split("=") for pair in link.arguments().split())
    known = re.findall(r'strcmp\(pair, "(\w+)"\)', SOURCE.read_text())

    assert list(words) == ["rate", "delay", "jitter", "queue", "loss", "enter", "leave", "late",
                           "late_by"]  # fmt: skip
    assert sorted(words) == sorted(known)
    assert [float(value) for value in words.values()] == [
        20e6, 40, 4, 100, 0.01, 0.003, 0.25, 0.02, 30
    ]  # fmt: skip
