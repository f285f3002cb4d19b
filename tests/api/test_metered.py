"""What a month costs a device on a metered link, every datagram counted.

The tunnel, the API and the heartbeat are the real ones, between them a NAT that
forgets, on one fake clock: hours are simulated and scaled to a month of 30 days.
`make soak` simulates whole months, in minutes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetainer.api.app import make_tunnel_site
from edgetainer.domain.access import DeviceIdentity
from edgetainer.storage import devices as stored
from edgetainer.tunnel.profiles import METERED, STANDARD, LinkProfile
from edgetainer_agent.heartbeat import Heartbeat
from tests import databases
from tests.api.installation import Installation
from tests.nat import Nat
from tests.services.home import Home
from tests.world import Device, Echo, World

MONTH_H = 30 * 24

LATE_NUMBERS = 4
"""Bytes by which an exchange grows after 16,384 packets, when their numbers take more
room in an acknowledgement (RFC 9000 section 16)."""


class Identities(World):
    """A world whose devices are rows of the database."""

    def verify(self, chain: list[Any]) -> Any:
        return DeviceIdentity(super().verify(chain).device_id, "ff" * 32)


class Metered:
    """A device with its heartbeat, behind a NAT."""

    def __init__(self, database: Any, folder: Path, patience: float, **options: Any) -> None:
        profile: LinkProfile = options.pop("profile", METERED)
        self.home = home = Home(database, folder)
        self.api = Installation(home)
        site = make_tunnel_site(self.api.routes, reactor=home.clock)
        self.world = Identities(site=site, clock=home.clock, delay=0.04)
        self.world.switchboard = home.switchboard
        home.switchboard.on_change.append(
            lambda who, online: self.world.changes.append((who, online))
        )
        self.nat = Nat(self.world.network, patience, **options)
        self.id = home.device()
        self.device: Device = self.world.device(
            self.id, profile=profile, doors={"echo": Echo}, hello={"agent_version": "1.0.0"}
        )
        self.world.until(lambda: self.device.connected)
        self.beats = 0
        self.heartbeat = Heartbeat(
            clock=home.clock,
            request=self.device.dialer.request,
            collect=self._collect,
            on_revision=lambda revision: None,
            random=random.Random(1).uniform,
            sparing=(lambda: self.device.dialer.keepalive_s) if profile.learns else None,
        )
        self.heartbeat.start(profile.heartbeat_s or 60.0)

    async def _collect(self) -> dict[str, Any]:
        self.beats += 1
        return {
            "metrics": {
                "cpu_percent": 3.5 + self.beats % 5,
                "memory_used": 1_234_567_890 + 4096 * self.beats,
                "memory_total": 4_123_456_789,
                "disk_used": 12_345_678_901 + 4096 * self.beats,
                "disk_total": 31_234_567_890,
                "uptime_s": 3_000_000 + 900 * self.beats,
                "load1": round(0.25 + self.beats % 3 / 100, 2),
            },
            "containers": [
                {"id": "3f" * 32, "name": "et-1234abcd-web-1", "stack": "web", "service": "web",
                 "image": "nginx:1.27", "state": "running", "status": "Up 2 days"}
            ],
            "agent_version": "1.0.0",
            "os_version": "Flatcar Container Linux by Kinvolk 4081.2.0 (Oklo)",
            "hardware_info": {"architecture": "x86_64", "cpu_count": 4, "kernel": "6.6.60"},
            "revision": 0,
        }  # fmt: skip

    @property
    def keepalive_s(self) -> float:
        """What the server was told last."""
        return float(self.world.switchboard.session(self.id).keepalive_s or 0.0)

    def month(self, learning_h: int, hours: int) -> float:
        """MB of a month: so many hours to learn, and as many more to scale by."""
        self.world.pass_time(3600 * learning_h)
        learned = self.nat.bytes
        datagrams = self.nat.datagrams
        self.world.pass_time(3600 * hours)
        rest = MONTH_H - learning_h
        late = LATE_NUMBERS * (self.nat.datagrams - datagrams) / 2 if hours < rest else 0
        total = learned + (self.nat.bytes - learned + late) * rest / hours
        print(f"{total / 1e6:.2f} MB a month, keepalive {self.keepalive_s} s")
        return total / 1e6


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    with databases.opened("sqlite", tmp_path, reactor=None) as database:
        yield lambda patience, **options: Metered(database, tmp_path, patience, **options)


@pytest.mark.parametrize("keeps_ports", [False, True])
def test_a_month_behind_a_patient_nat_stays_under_3_mb(make: Any, keeps_ports: bool) -> None:
    metered = make(150, keeps_ports=keeps_ports)
    assert metered.month(2, 12) <= 3.0
    assert 0.85 * 150 < metered.keepalive_s < 150


@pytest.mark.parametrize("keeps_ports", [False, True])
def test_a_month_behind_a_hasty_nat_stays_under_13_mb(make: Any, keeps_ports: bool) -> None:
    metered = make(30, keeps_ports=keeps_ports)
    assert metered.month(1, 3) <= 13.0
    assert 0.85 * 30 < metered.keepalive_s < 30


@pytest.mark.soak
@pytest.mark.parametrize("keeps_ports", [False, True])
@pytest.mark.parametrize(("patience", "learning_h", "most"), [(150, 2, 3.0), (30, 1, 13.0)])
def test_a_whole_month(
    make: Any, patience: float, learning_h: int, most: float, keeps_ports: bool
) -> None:
    metered = make(patience, keeps_ports=keeps_ports)
    assert metered.month(learning_h, MONTH_H - learning_h) <= most
    assert 0.85 * patience < metered.keepalive_s < patience


def test_a_standard_link_is_not_that_sparing(make: Any) -> None:
    assert 40 < make(150, profile=STANDARD).month(0, 1) < 90


def test_what_was_learned_leaves_the_device_in_reach_all_the_time(make: Any) -> None:
    metered = make(60)
    metered.world.pass_time(3600)
    shut = metered.nat.shut
    assert shut > 0
    for _ in range(50):
        metered.world.pass_time(metered.world.network.random.uniform(0, 120))
        metered.world.switchboard.ring(metered.id, 9)
        metered.world.pass_time(0.2)
    assert len(metered.device.rings) == 50
    assert metered.nat.shut == shut
    assert metered.device.told("disconnected") == []
    assert metered.world.changes == [(metered.id, True)]


def test_a_network_that_forgets_sooner_than_it_used_to_is_learned_anew(make: Any) -> None:
    metered = make(150)
    metered.world.pass_time(3600)
    metered.nat.patience = 40.0
    metered.world.pass_time(1800)
    assert metered.keepalive_s < 40
    assert metered.device.told("disconnected") == []
    assert metered.world.changes == [(metered.id, True)]


def test_a_metered_device_is_offline_after_two_keepalives(make: Any) -> None:
    metered = make(150)
    metered.world.pass_time(3600)
    keepalive = metered.keepalive_s
    metered.world.network.up = False
    lost_at = metered.world.now
    metered.world.until(lambda: not metered.world.switchboard.online(), 600)
    assert keepalive < metered.world.now - lost_at <= 2 * keepalive + 4
    metered.world.pass_time(60)
    metered.world.network.up = True
    metered.world.until(lambda: bool(metered.world.switchboard.online()), 2.5)
    assert metered.device.told("disconnected") == []


def test_the_server_keeps_what_is_not_told_again(make: Any) -> None:
    metered = make(150)
    metered.world.pass_time(3700)
    assert metered.beats >= 4
    databases.result(metered.home.presence.flush())
    device = databases.result(metered.home.database.read(lambda c: stored.get(c, metered.id)))
    assert device.metrics["memory_total"] == 4_123_456_789
    assert device.metrics["cpu_percent"] == 3.5 + metered.beats % 5
    assert device.os_version.startswith("Flatcar")
