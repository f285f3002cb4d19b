"""Groups of devices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.storage import audit
from edgetainer.storage import fleets as stored
from edgetainer.storage.database import Database, violated
from edgetainer.storage.fleets import Fleet


class Fleets:
    """Use cases about fleets."""

    def __init__(self, *, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def page(
        self, principal: Principal, *, limit: int, offset: int
    ) -> tuple[list[Fleet], int]:
        """Some of all fleets in the order of names, and how many there are."""
        demand(principal, "fleets.read")
        return await self._database.read(lambda c: stored.page(c, limit=limit, offset=offset))

    async def get(self, principal: Principal, id: str) -> Fleet:
        """One fleet.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "fleets.read")
        return _found(await self._database.read(lambda c: stored.get(c, id)), id)

    async def create(self, principal: Principal, *, name: str, description: str | None) -> Fleet:
        """A new fleet.

        :raises EdgetainerError: `already_exists`.
        """
        demand(principal, "fleets.write")
        id_, now = str(uuid4()), self._now()

        def create(connection: Connection) -> Fleet:
            stored.add(connection, id=id_, name=name, description=description, now=now)
            audit.append(connection, principal, "fleets.create", now=now, target=("fleet", id_))
            return _found(stored.get(connection, id_), id_)

        return await self._write(create, name)

    async def update(self, principal: Principal, id: str, values: dict[str, Any]) -> Fleet:
        """Change `name` or `description`, those that are in `values`.

        :raises EdgetainerError: `not_found`, `already_exists`.
        """
        demand(principal, "fleets.write")
        now = self._now()

        def change(connection: Connection) -> Fleet:
            stored.change(connection, id, now=now, **values)
            changed = _found(stored.get(connection, id), id)
            target, detail = ("fleet", id), {"fields": sorted(values)}
            audit.append(
                connection, principal, "fleets.update", now=now, target=target, detail=detail
            )
            return changed

        return await self._write(change, str(values.get("name")))

    async def remove(self, principal: Principal, id: str) -> None:
        """Delete an empty fleet.

        :raises EdgetainerError: `not_found`, `in_use` while it has devices.
        """
        demand(principal, "fleets.delete")
        now = self._now()

        def remove(connection: Connection) -> None:
            fleet = _found(stored.get(connection, id), id)
            if fleet.device_count:
                raise _has_devices(fleet.device_count)
            stored.remove(connection, id)
            target, detail = ("fleet", id), {"name": fleet.name}
            audit.append(
                connection, principal, "fleets.delete", now=now, target=target, detail=detail
            )

        try:
            await self._database.run(remove)
        except IntegrityError as error:
            # A device came in while we were looking.
            raise _has_devices(1) from error

    async def _write(self, fn: Callable[[Connection], Fleet], name: str) -> Fleet:
        try:
            return await self._database.run(fn)
        except IntegrityError as error:
            if violated(error) != "fleets.name":
                raise
            raise EdgetainerError(
                "already_exists", f"There is a fleet {name} already.", field="name"
            ) from error


def _found(fleet: Fleet | None, id: str) -> Fleet:
    if fleet is None:
        raise EdgetainerError("not_found", f"There is no fleet {id}.")
    return fleet


def _has_devices(count: int) -> EdgetainerError:
    what = "a device" if count == 1 else f"{count} devices"
    return EdgetainerError("in_use", f"The fleet has {what}; move or delete them first.")
