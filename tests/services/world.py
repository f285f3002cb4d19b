"""What the tests of workloads stand on: services on a database and a stopped clock."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from edgetainer.domain.access import DeviceIdentity, Principal, Role
from edgetainer.errors import EdgetainerError
from edgetainer.events import Event, Events
from edgetainer.services.agents import Agents
from edgetainer.services.deployments import Deployments
from edgetainer.services.exposures import Exposures
from edgetainer.services.software import Catalogue
from edgetainer.storage.database import Database
from tests import rows
from tests.databases import result
from tests.wall import wall

T = TypeVar("T")

PAGE = "services: {web: {image: 'page:1', ports: ['8080:80']}}"
PAGE_2 = "services: {web: {image: 'page:2', ports: ['8080:80']}}"
ROOT = "services: {web: {image: 'page:1', privileged: true}}"


def now(awaitable: Awaitable[T]) -> T:
    """What a coroutine that needs no waiting comes to."""
    return result(Deferred.fromCoroutine(awaitable))


def refusal(awaitable: Awaitable[Any]) -> EdgetainerError:
    """The error that a coroutine ends with."""
    with pytest.raises(EdgetainerError) as caught:
        now(awaitable)
    return caught.value


class World:
    """The services of workloads, with one person of each role."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.clock.advance(rows.NOW.timestamp())
        self.rung: list[tuple[str, int]] = []
        self.seen: list[Event] = []
        self.changed: list[str] = []
        self.events = Events(now=wall(self.clock))
        self.admin, self.operator, self.viewer = (
            Principal(rows.user(database, role=role, name=role), role.value, role) for role in Role
        )
        self.catalogue = Catalogue(database=database, now=self.now)
        self.deployments = Deployments(
            database=database, bell=self, events=self.events, now=self.now
        )
        self.exposures = Exposures(
            database=database,
            bell=self,
            events=self.events,
            now=self.now,
            apps_domain="apps.example.com",
            public_port=8443,
        )
        self.agents = Agents(
            database=database,
            events=self.events,
            now=self.now,
            heartbeat_s=60,
            changed=self.changed.append,
        )
        self._names = itertools.count(1)

    def now(self) -> datetime:
        # Each question a second later, so that orders by time are plain.
        self.clock.advance(1)
        return datetime.fromtimestamp(self.clock.seconds(), UTC)

    def ring(self, device_id: str, revision: int) -> None:
        """Stands where the switchboard stands."""
        self.rung.append((device_id, revision))

    def watch(self, topic: str) -> list[Event]:
        """The events of a topic from now on."""
        seen: list[Event] = []
        self.events.subscribe(topic, seen.append)
        return seen

    def device(self, *, fleet_id: str | None = None) -> str:
        return rows.device(self.database, fleet_id=fleet_id, subdomain=f"kiosk-{next(self._names)}")

    def fleet(self) -> str:
        return rows.fleet(self.database)

    def upload(self, text: str = PAGE, name: str = "Page", version: str | None = None):
        return now(self.catalogue.upload(self.admin, name=name, text=text, version=version))

    def expose(self, device_id: str, name: str = "web", port: int = 80, who=None, **more: Any):
        """Expose a port of the container "page"."""
        values = {"container_name": "page", **more}
        create = self.exposures.create
        return now(create(who or self.operator, device_id, name=name, internal_port=port, **values))


def identity(device_id: str) -> DeviceIdentity:
    return DeviceIdentity(device_id, "ff" * 32)
