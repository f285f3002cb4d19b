"""The containers of devices, as the devices told of them last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.storage import reports, revisions
from edgetainer.storage.database import Database


@dataclass(frozen=True)
class Listing:
    """A device's containers.

    :param reported_at: when the device told of them; None if it never has.
    """

    items: tuple[dict[str, Any], ...]
    reported_at: datetime | None


class Containers:
    """Looking at devices' containers."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def of_device(self, principal: Principal, device_id: str) -> Listing:
        """What a device told last.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "devices.read")

        def read(connection: Connection) -> Listing:
            if revisions.of(connection, device_id) is None:
                raise EdgetainerError("not_found", f"There is no device {device_id}.")
            report = reports.get(connection, device_id)
            if report is None:
                return Listing((), None)
            return Listing(tuple(report.containers or ()), report.containers_at)

        return await self._database.read(read)
