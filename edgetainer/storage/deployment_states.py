"""How far each device has come with each deployment: SQL only.

A deployment concerns its device, or every device of its fleet that has no
deployment of the same software for itself. A device without a row has said
nothing yet, which is "pending".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from edgetainer.storage.tables import deployment_states as states
from edgetainer.storage.tables import deployments, devices


@dataclass(frozen=True)
class State:
    """One device's state with one deployment.

    :param revision: of the desired state that the device was asked for or spoke of.
    :param status: "pending", "updating", "deployed" or "failed".
    """

    deployment_id: str
    device_id: str
    revision: int
    status: str
    detail: str | None
    updated_at: datetime


@dataclass(frozen=True)
class Tally:
    """The devices that a deployment concerns, counted.

    :param failure: what one of the failed ones said.
    """

    devices: int
    deployed: int
    failed: int
    failure: str | None


def begin(connection: Connection, deployment_id: str, *, now: datetime) -> None:
    """Forget what devices said of a deployment; each begins anew at its present revision.

    Later reports of lower revisions, about what was wanted before, are ignored.
    """
    connection.execute(delete(states).where(states.c.deployment_id == deployment_id))
    source = _concerned(deployment_id).with_only_columns(
        deployments.c.id, devices.c.id, devices.c.revision, literal("pending"), literal(now)
    )
    names = ["deployment_id", "device_id", "revision", "status", "updated_at"]
    connection.execute(insert(states).from_select(names, source))


def forget(connection: Connection, deployment_id: str, device_id: str) -> None:
    """The deployment no longer concerns the device."""
    connection.execute(delete(states).where(_is(deployment_id, device_id)))


def keep_only(connection: Connection, device_id: str, deployment_ids: Collection[str]) -> None:
    """Forget what a device said of deployments that no longer concern it."""
    connection.execute(
        delete(states).where(
            states.c.device_id == device_id, states.c.deployment_id.not_in(list(deployment_ids))
        )
    )


def record(connection: Connection, state: State) -> bool:
    """Store what a device reports; False where it is old or no news.

    Reports arrive twice and out of order: one of a lower revision than the
    stored is ignored.
    """
    query = select(states).where(_is(state.deployment_id, state.device_id)).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        connection.execute(insert(states).values(**_values(state)))
        return True
    known = _state(row)
    if state.revision < known.revision:
        return False
    news = (known.status, known.detail) != (state.status, state.detail)
    values = _values(state) if news else {"revision": state.revision}
    connection.execute(
        update(states).where(_is(state.deployment_id, state.device_id)).values(**values)
    )
    return news


def of_device(connection: Connection, device_id: str) -> dict[str, State]:
    """What a device said of its deployments: deployment id → state."""
    rows = connection.execute(select(states).where(states.c.device_id == device_id))
    return {row.deployment_id: _state(row) for row in rows}


def tally(connection: Connection, deployment_id: str) -> Tally:
    """Count the devices that a deployment concerns by what they said."""
    said = _concerned(deployment_id).join(
        states,
        and_(states.c.deployment_id == deployments.c.id, states.c.device_id == devices.c.id),
        isouter=True,
    )
    counts = said.with_only_columns(
        func.count(),
        func.count().filter(states.c.status == "deployed"),
        func.count().filter(states.c.status == "failed"),
        func.min(states.c.detail).filter(states.c.status == "failed"),
    )
    row = connection.execute(counts).one()
    return Tally(devices=row[0], deployed=row[1], failed=row[2], failure=row[3])


def _concerned(deployment_id: str) -> Select[Any]:
    # One row for each device that the deployment concerns.
    own = deployments.alias("own")
    overridden = exists().where(
        own.c.device_id == devices.c.id, own.c.software_id == deployments.c.software_id
    )
    return (
        select(devices.c.id)
        .select_from(deployments)
        .join(
            devices,
            or_(
                deployments.c.device_id == devices.c.id,
                and_(deployments.c.fleet_id == devices.c.fleet_id, ~overridden),
            ),
        )
        .where(deployments.c.id == deployment_id)
    )


def _is(deployment_id: str, device_id: str) -> Any:
    return and_(states.c.deployment_id == deployment_id, states.c.device_id == device_id)


def _values(state: State) -> dict[str, Any]:
    return {
        "deployment_id": state.deployment_id,
        "device_id": state.device_id,
        "revision": state.revision,
        "status": state.status,
        "detail": state.detail,
        "updated_at": state.updated_at,
    }


def _state(row: Row[Any]) -> State:
    return State(**row._mapping)
