"""What devices ask and tell: their desired state, and how far they have come.

A device speaks only for itself; its id comes from its certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from edgetainer.domain.access import DeviceIdentity, demand
from edgetainer.domain.desired import Wanted, effective
from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.services.standing import DeviceDeployment, device_document, document, settle
from edgetainer.storage import deployment_states as states
from edgetainer.storage import deployments, exposed_services, reports, revisions
from edgetainer.storage.database import Database
from edgetainer.storage.deployment_states import State
from edgetainer.storage.deployments import Deployment

# Characters of a device's explanation: room for the last lines of a log.
MAX_DETAIL = 4000


@dataclass(frozen=True)
class Assignment:
    """The stacks that a device should run, as of a revision."""

    revision: int
    stacks: tuple[Wanted, ...]


@dataclass(frozen=True)
class Door:
    """A port of a service that the device lets the server reach."""

    service: str
    port: int


@dataclass(frozen=True)
class Configuration:
    """How a device should behave, as of a revision."""

    revision: int
    heartbeat_s: int
    doors: tuple[Door, ...]


@dataclass(frozen=True)
class Progress:
    """How far a device has come with one deployment, in its own words.

    :param revision: of the desired state that it worked on.
    :param status: "updating", "deployed" or "failed".
    """

    deployment_id: str
    revision: int
    status: str
    detail: str | None


class Agents:
    """The devices' side of the API.

    :param heartbeat_s: seconds between the heartbeats of a device.
    :param changed: called with a device's id after one of its deployments got
        another status.
    """

    def __init__(
        self,
        *,
        database: Database,
        events: Events,
        now: Callable[[], datetime],
        heartbeat_s: int,
        changed: Callable[[str], None],
    ) -> None:
        self._database = database
        self._events = events
        self._now = now
        self._heartbeat_s = heartbeat_s
        self._changed = changed

    async def revision(self, device: DeviceIdentity) -> int:
        """The revision of the device's desired state."""
        demand(device, "agent.read", owner=device.device_id)
        return await self._database.read(lambda c: _revision(c, device.device_id))

    async def software(self, device: DeviceIdentity) -> Assignment:
        """The stacks that the device should run."""
        demand(device, "agent.read")

        def read(connection: Connection) -> Assignment:
            return Assignment(
                revision=_revision(connection, device.device_id),
                stacks=effective(deployments.wanted(connection, device.device_id)),
            )

        return await self._database.read(read)

    async def configuration(self, device: DeviceIdentity) -> Configuration:
        """How the device should behave."""
        demand(device, "agent.read")

        def read(connection: Connection) -> Configuration:
            services = exposed_services.of_device(connection, device.device_id)
            doors = {Door(s.container_name, s.internal_port) for s in services if s.enabled}
            return Configuration(
                revision=_revision(connection, device.device_id),
                heartbeat_s=self._heartbeat_s,
                doors=tuple(sorted(doors, key=lambda door: (door.service, door.port))),
            )

        return await self._database.read(read)

    async def report(
        self,
        device: DeviceIdentity,
        progress: Sequence[Progress],
        containers: list[dict[str, Any]] | None,
    ) -> int:
        """Take what a device says of its deployments and containers.

        Reports may come late, twice and out of order. Those about lower
        revisions than known, and about deployments that are not the device's
        (any more), are ignored.

        :param containers: None where the report says nothing of them.
        :returns: the revision of the device's desired state.
        """
        demand(device, "agent.report")
        id_, now = device.device_id, self._now()

        def store(connection: Connection) -> tuple[int, list[tuple[Deployment, State]]]:
            revision = _revision(connection, id_)
            mine = {stack.deployment_id for stack in effective(deployments.wanted(connection, id_))}
            news: list[tuple[Deployment, State]] = []
            # In the order of ids, so that two reports lock in the same order.
            for said in sorted(progress, key=lambda said: (said.deployment_id, said.revision)):
                if said.deployment_id not in mine or said.revision > revision:
                    continue
                detail = said.detail[:MAX_DETAIL] if said.detail else None
                state = State(said.deployment_id, id_, said.revision, said.status, detail, now)
                deployments.get(connection, said.deployment_id, lock=True)
                if states.record(connection, state):
                    news.append((settle(connection, said.deployment_id, now=now), state))
            if containers is not None:
                reports.store(connection, id_, containers=containers, now=now)
            return revision, news

        revision, news = await self._database.run(store)
        for deployment, state in news:
            seen = device_document(DeviceDeployment(deployment, state))
            self._events.publish(f"device:{id_}", "deployment.updated", seen)
            self._events.publish("deployments", "deployment.updated", document(deployment))
        if containers is not None:
            # Not the list: events are kept for a while, for each device.
            total = {"total": len(containers)}
            self._events.publish(f"device:{id_}", "containers.updated", total)
        if news:
            self._changed(id_)
        return revision


def _revision(connection: Connection, device_id: str) -> int:
    revision = revisions.of(connection, device_id)
    if revision is None:
        # Deleted while its connection was being closed.
        raise EdgetainerError("not_found", "This device is no longer known here.")
    return revision
