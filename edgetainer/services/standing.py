"""How deployments stand: what devices said of them, put together.

These functions are called within the transactions of those who change
something: a deployment, a report, a device that comes, goes or moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from edgetainer.domain.desired import effective, standing
from edgetainer.storage import deployment_states as states
from edgetainer.storage import deployments as stored
from edgetainer.storage import revisions
from edgetainer.storage.deployment_states import State
from edgetainer.storage.deployments import Deployment


@dataclass(frozen=True)
class DeviceDeployment:
    """A deployment as one device sees it.

    :param state: what the device said last; None for nothing yet.
    """

    deployment: Deployment
    state: State | None

    @property
    def status(self) -> str:
        """ "pending", "updating", "deployed" or "failed"."""
        return self.state.status if self.state else "pending"


def seen_by(connection: Connection, device_id: str) -> list[DeviceDeployment]:
    """The deployments that count on a device: its own go before its fleet's."""
    said = states.of_device(connection, device_id)
    chosen = {stack.deployment_id for stack in effective(stored.wanted(connection, device_id))}
    return [
        DeviceDeployment(deployment, said.get(deployment.id))
        for deployment in stored.of_device(connection, device_id)
        if deployment.id in chosen
    ]


def reassign(
    connection: Connection, device_id: str, *, left: str | None, now: datetime
) -> int | None:
    """Another fleet's deployments concern the device now: call it within the move.

    :param left: the fleet that the device was in.
    :returns: the raised revision to ring the device with, None for no such device.
    """
    raised = revisions.raise_device(connection, device_id)
    chosen = effective(stored.wanted(connection, device_id))
    states.keep_only(connection, device_id, [stack.deployment_id for stack in chosen])
    for id_ in sorted(stack.deployment_id for stack in chosen):
        settle(connection, id_, now=now)
    settle_fleet(connection, left, now=now)
    return raised.get(device_id)


def settle_fleet(connection: Connection, fleet_id: str | None, *, now: datetime) -> None:
    """Devices came into a fleet or left it: its deployments are done, or not any more."""
    for id_ in stored.of_fleet(connection, fleet_id) if fleet_id is not None else ():
        settle(connection, id_, now=now)


def settle(connection: Connection, id: str, *, now: datetime) -> Deployment:
    """Bring a deployment's status up to what its devices said.

    The deployment is locked first: of two devices that report at once the
    second counts the first.
    """
    found = stored.get(connection, id, lock=True)
    assert found is not None
    tally = states.tally(connection, id)
    status, detail = standing(
        devices=tally.devices, deployed=tally.deployed, failed=tally.failed, failure=tally.failure
    )
    if (found.status, found.detail or "") != (status, detail):
        stored.set_status(connection, id, status=status, detail=detail or None, now=now)
        found = stored.get(connection, id)
        assert found is not None
    return found


def document(deployment: Deployment) -> dict[str, Any]:
    """A deployment as the API and the hub show it."""
    shown: dict[str, Any] = msgspec.to_builtins(vars(deployment))
    return shown


def device_document(seen: DeviceDeployment) -> dict[str, Any]:
    """A deployment as one device sees it: its own status in place of the whole's."""
    shown = document(seen.deployment)
    shown["status"] = seen.status
    shown["detail"] = seen.state.detail if seen.state else None
    shown["revision"] = seen.state.revision if seen.state else None
    if seen.state:
        shown["updated_at"] = msgspec.to_builtins(seen.state.updated_at)
    return shown
