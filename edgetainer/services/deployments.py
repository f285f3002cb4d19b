"""Deployments: what should run where, and how far the devices have come.

One transaction changes what is wanted and raises the revision of every device
concerned; then the devices are rung. A ring that is lost costs nothing: a
device compares revisions whenever it connects.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from edgetainer.domain import compose
from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.services.software import allow, unknown
from edgetainer.services.standing import DeviceDeployment, document, seen_by, settle
from edgetainer.storage import audit, releases, revisions, software
from edgetainer.storage import deployment_states as states
from edgetainer.storage import deployments as stored
from edgetainer.storage.database import Database
from edgetainer.storage.deployment_states import State
from edgetainer.storage.deployments import Deployment

# Bytes of compose files, as JSON, for one target. A device gets its own and its
# fleet's in one answer, which may have 1 MiB (`quic.http3.RESPONSE_LIMIT`).
MAX_ASSIGNED = 480 * 1024


class Bell(Protocol):
    """What of the switchboard is needed here."""

    def ring(self, device_id: str, revision: int) -> None:
        """Tell the device that its assignments changed; nothing while it is offline."""


class Deployments:
    """Wanting releases on fleets and devices."""

    def __init__(
        self,
        *,
        database: Database,
        bell: Bell,
        events: Events,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._bell = bell
        self._events = events
        self._now = now

    async def deploy(
        self,
        principal: Principal,
        software_id: str,
        *,
        fleet_id: str | None = None,
        device_id: str | None = None,
        version: str | None = None,
        pinned: bool = False,
    ) -> Deployment:
        """Want a release of a software on a fleet or on a device.

        :param version: None for the software's current one.
        :raises EdgetainerError: `not_found`; `invalid_field` unless exactly one
            target is given; `forbidden`, the release has privileges;
            `invalid_request`, more is wanted there than a device can be sent.
        """
        demand(principal, "deployments.write")
        if (fleet_id is None) == (device_id is None):
            raise EdgetainerError(
                "invalid_field", "Give either device_id or fleet_id.", field="device_id"
            )
        now = self._now()

        def place(connection: Connection) -> tuple[Deployment, dict[str, int]]:
            found = software.get(connection, software_id)
            if found is None:
                raise unknown(software_id)
            wanted = version or found.current_version or ""
            release = releases.get(connection, software_id, wanted)
            if release is None:
                raise EdgetainerError(
                    "not_found", f"{found.name} has no version {wanted}.", field="version"
                )
            # Once more: the rules may be stricter than at its upload, and
            # whoever may give privileges is asked at this door too.
            allow(principal, compose.parse(release.compose))
            raised = _raise(connection, fleet_id=fleet_id, device_id=device_id)
            id_ = stored.place(
                connection,
                release,
                id=str(uuid4()),
                fleet_id=fleet_id,
                device_id=device_id,
                pinned=pinned,
                now=now,
            )
            _check_size(connection, fleet_id=fleet_id, device_id=device_id)
            states.begin(connection, id_, now=now)
            if device_id is not None:
                self._override(connection, software_id, device_id, now)
            audit.append(
                connection,
                principal,
                "deployments.deploy",
                target=("deployment", id_),
                detail={
                    "software_id": software_id,
                    "version": release.version,
                    "fleet_id": fleet_id,
                    "device_id": device_id,
                },
                now=now,
            )
            return settle(connection, id_, now=now), raised

        try:
            deployment, raised = await self._database.run(place)
        except IntegrityError as error:
            target, id_ = ("device", device_id) if device_id else ("fleet", fleet_id)
            raise EdgetainerError(
                "not_found", f"There is no {target} {id_}.", field=f"{target}_id"
            ) from error
        self._announce(raised)
        self._events.publish("deployments", "deployment.updated", document(deployment))
        return deployment

    async def remove(self, principal: Principal, id: str) -> None:
        """Want it no longer: the devices stop the stack, or run their fleet's release.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "deployments.write")
        now = self._now()

        def end(connection: Connection) -> tuple[Deployment, dict[str, int]]:
            found = stored.get(connection, id)
            if found is None:
                raise _no_deployment(id)
            raised = _raise(connection, fleet_id=found.fleet_id, device_id=found.device_id)
            if not stored.remove(connection, id):
                raise _no_deployment(id)
            if found.device_id is not None:
                self._resume(connection, found, raised[found.device_id], now)
            audit.append(
                connection,
                principal,
                "deployments.remove",
                target=("deployment", id),
                detail={
                    "software_id": found.software_id,
                    "version": found.version,
                    "fleet_id": found.fleet_id,
                    "device_id": found.device_id,
                },
                now=now,
            )
            return found, raised

        deployment, raised = await self._database.run(end)
        self._announce(raised)
        self._events.publish("deployments", "deployment.removed", {"id": deployment.id})

    async def get(self, principal: Principal, id: str) -> Deployment:
        """One deployment.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "deployments.read")
        found = await self._database.read(lambda connection: stored.get(connection, id))
        if found is None:
            raise _no_deployment(id)
        return found

    async def of_software(
        self, principal: Principal, software_id: str, *, limit: int, offset: int
    ) -> tuple[list[Deployment], int]:
        """Some of where a software is wanted, the newest first, and on how many targets.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "deployments.read")

        def read(connection: Connection) -> tuple[list[Deployment], int]:
            if software.get(connection, software_id) is None:
                raise unknown(software_id)
            return stored.of_software(connection, software_id, limit=limit, offset=offset)

        return await self._database.read(read)

    async def of_device(self, principal: Principal, device_id: str) -> list[DeviceDeployment]:
        """What a device should run, with how far it has come.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "deployments.read")

        def read(connection: Connection) -> list[DeviceDeployment]:
            if revisions.of(connection, device_id) is None:
                raise EdgetainerError("not_found", f"There is no device {device_id}.")
            return seen_by(connection, device_id)

        return await self._database.read(read)

    def _override(
        self, connection: Connection, software_id: str, device_id: str, now: datetime
    ) -> None:
        # The fleet's deployment of the same software waits for this device no longer.
        for other in stored.of_device(connection, device_id):
            if other.software_id == software_id and other.fleet_id is not None:
                # The deployment before its states, as everybody locks.
                stored.get(connection, other.id, lock=True)
                states.forget(connection, other.id, device_id)
                settle(connection, other.id, now=now)

    def _resume(
        self, connection: Connection, ended: Deployment, revision: int, now: datetime
    ) -> None:
        # The fleet's deployment of the same software concerns the device again.
        assert ended.device_id is not None
        for other in stored.of_device(connection, ended.device_id):
            if other.software_id == ended.software_id:
                stored.get(connection, other.id, lock=True)
                state = State(other.id, ended.device_id, revision, "pending", None, now)
                states.record(connection, state)
                settle(connection, other.id, now=now)

    def _announce(self, raised: dict[str, int]) -> None:
        for device_id, revision in raised.items():
            self._bell.ring(device_id, revision)
            self._events.publish(
                f"device:{device_id}", "deployment.assigned", {"revision": revision}
            )


def _check_size(connection: Connection, *, fleet_id: str | None, device_id: str | None) -> None:
    texts = stored.texts(connection, fleet_id=fleet_id, device_id=device_id)
    size = sum(len(msgspec.json.encode(text)) for text in texts)
    if size > MAX_ASSIGNED:
        raise EdgetainerError(
            "invalid_request",
            f"The compose files wanted here come to {size} bytes; a device or fleet takes "
            f"{MAX_ASSIGNED}. End other deployments here first, or make the files smaller.",
        )


def _raise(
    connection: Connection, *, fleet_id: str | None, device_id: str | None
) -> dict[str, int]:
    if device_id is not None:
        return revisions.raise_device(connection, device_id)
    assert fleet_id is not None
    return revisions.raise_fleet(connection, fleet_id)


def _no_deployment(id: str) -> EdgetainerError:
    return EdgetainerError("not_found", f"There is no deployment {id}.")
