"""What the tests of identity stand on: every service of it, on a stopped clock.

The only thing that is not real is the QUIC connection under a device's session.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from edgetainer.domain.access import DeviceIdentity, Principal, Role
from edgetainer.errors import EdgetainerError
from edgetainer.events import Event, Events
from edgetainer.services.access_tokens import AccessTokens
from edgetainer.services.authentication import Authentication
from edgetainer.services.authority import Authority
from edgetainer.services.devices import Devices
from edgetainer.services.enrolment import Enrolment
from edgetainer.services.fleets import Fleets
from edgetainer.services.identities import Identities
from edgetainer.services.passwords import Passwords
from edgetainer.services.presence import Presence
from edgetainer.services.throttle import Throttle
from edgetainer.services.users import Users
from edgetainer.storage import audit
from edgetainer.storage.database import Database
from edgetainer.switchboard import Switchboard
from edgetainer.tunnel.session import Session
from tests.databases import result

T = TypeVar("T")

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSWORD = "a fine long password"


def now(awaitable: Awaitable[T]) -> T:
    """What a coroutine that needs no waiting comes to."""
    return result(Deferred.fromCoroutine(awaitable))


def refusal(awaitable: Awaitable[Any]) -> EdgetainerError:
    """The error that a coroutine ends with."""
    with pytest.raises(EdgetainerError) as caught:
        now(awaitable)
    return caught.value


class Line:
    """Stands for the QUIC connection of a session."""

    def __init__(self, clock: Clock, peer: str) -> None:
        self.peer = (peer, 4433)
        self.last_received = clock.seconds()
        self.closed_with: str | None = None
        self._waiters: list[Deferred[None]] = []

    def notify_close(self) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def notify_heard(self) -> Deferred[None]:
        return Deferred()

    def close(self, code: int = 0, reason: str = "") -> None:
        self.closed_with = reason
        self.drop()

    def drop(self) -> None:
        """The network takes it."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)


class Home:
    """One installation."""

    def __init__(
        self, database: Database, folder: Path, *, switchboard: Switchboard | None = None
    ) -> None:
        self.database = database
        self.clock = Clock()
        self.clock.advance(START.timestamp())
        self.events = Events(now=self.now)
        self.switchboard = switchboard or Switchboard(reactor=self.clock)
        self.passwords = Passwords(pepper=b"p" * 32, reactor=None, cost=4)
        self.throttle = Throttle(now=self.now)
        self.authentication = Authentication(
            database=database,
            passwords=self.passwords,
            tokens=AccessTokens(key=b"k" * 32, now=self.now),
            throttle=self.throttle,
            now=self.now,
        )
        self.users = Users(
            database=database,
            passwords=self.passwords,
            authentication=self.authentication,
            throttle=self.throttle,
            now=self.now,
        )
        self.fleets = Fleets(database=database, now=self.now)
        self.authority = Authority(folder / "keys", now=self.now)
        self.identities = Identities(
            database=database, authority=self.authority.certificate, now=self.now
        )
        self.devices = Devices(
            database=database,
            switchboard=self.switchboard,
            identities=self.identities,
            events=self.events,
            apps_domain="apps.example.com",
            public_port=8443,
            clock=self.clock,
            now=self.now,
        )
        self.enrolment = Enrolment(
            database=database,
            authority=self.authority,
            identities=self.identities,
            devices=self.devices,
            tunnel_addresses=["console.test:8444"],
            now=self.now,
        )
        self.presence = Presence(
            database=database,
            switchboard=self.switchboard,
            devices=self.devices,
            clock=self.clock,
            now=self.now,
        )
        self.admin, self.operator, self.viewer = (self.person(role) for role in Role)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.seconds(), UTC)

    def person(self, role: Role, name: str | None = None) -> Principal:
        """A user of this role (called like it) who is not signed in anywhere."""
        from edgetainer.domain.access import SYSTEM

        name = name or role.value
        user = now(
            self.users.create(
                SYSTEM, username=name, email=f"{name}@x.test", password=PASSWORD, role=role
            )
        )
        return Principal(user.id, name, role)

    def login(self, name: str = "admin", *, address: str = "192.0.2.1") -> Any:
        return now(self.authentication.login(name, PASSWORD, address=address))

    def watch(self, topic: str) -> list[Event]:
        """The events of a topic from now on."""
        seen: list[Event] = []
        self.events.subscribe(topic, seen.append)
        return seen

    def audited(self) -> list[str]:
        """What was done, the oldest first."""
        found = result(self.database.read(lambda c: audit.latest(c, limit=1000)))
        return [entry.action for entry in found][::-1]

    def device(self, name: str = "kiosk-1", fleet_id: str | None = None) -> str:
        """A device that is expected."""
        created = self.devices.create(self.admin, device_id=name, name=name, fleet_id=fleet_id)
        return now(created).id

    def connect(self, device_id: str, *, peer: str = "198.51.100.7") -> Line:
        """The device's tunnel comes up."""
        line = Line(self.clock, peer)
        session = Session(reactor=self.clock, device_id=device_id, connection=line, hello={})
        self.switchboard.add(session)
        return line

    def identity(self, device_id: str) -> DeviceIdentity:
        return DeviceIdentity(device_id, "ff" * 32)


def device_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())
