"""The devices: what people see of them and do with them as a whole."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from twisted.internet.interfaces import IReactorTime

from edgetainer.domain import naming
from edgetainer.domain.access import Principal, demand
from edgetainer.domain.presence import Status
from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.services.identities import Identities
from edgetainer.services.standing import reassign, settle_fleet
from edgetainer.storage import audit, keys
from edgetainer.storage import devices as stored
from edgetainer.storage.database import Database, violated
from edgetainer.storage.devices import Device
from edgetainer.switchboard import Switchboard

# Letters and digits that are not mistaken for each other.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


@dataclass(frozen=True)
class LiveStatus:
    """What is known of a device without asking it.

    :param last_seen: when something was last heard from it.
    :param connected_s: seconds since its session began; None without a session.
    """

    status: Status
    online: bool
    last_seen: datetime | None
    ip_address: str | None
    connected_s: float | None


class Devices:
    """Use cases about devices.

    :param clock: the one by which sessions are timed.

    :param apps_domain: domain of the devices' addresses.
    :param public_port: HTTPS port as outsiders see it.
    """

    def __init__(
        self,
        *,
        database: Database,
        switchboard: Switchboard,
        identities: Identities,
        events: Events,
        apps_domain: str,
        public_port: int,
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._switchboard = switchboard
        self._identities = identities
        self._events = events
        self._apps_domain = apps_domain
        self._public_port = public_port
        self._clock = clock
        self._now = now

    def document(self, device: Device) -> dict[str, Any]:
        """A device as the API and the hub show it, in plain JSON values."""
        url = None
        if device.subdomain is not None and device.subdomain_enabled:
            url = naming.app_url(
                device.subdomain, apps_domain=self._apps_domain, port=self._public_port
            )
        return {**msgspec.to_builtins(vars(device)), "url": url}

    async def page(
        self,
        principal: Principal,
        *,
        limit: int,
        offset: int,
        fleet_id: str | None = None,
        status: str | None = None,
    ) -> tuple[list[Device], int]:
        """Some of all devices (of a fleet, of a status) by name, and how many there are."""
        demand(principal, "devices.read")
        return await self._database.read(
            lambda c: stored.page(c, limit=limit, offset=offset, fleet_id=fleet_id, status=status)
        )

    async def get(self, principal: Principal, id: str) -> Device:
        """One device.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "devices.read")
        return _found(await self._database.read(lambda c: stored.get(c, id)), id)

    async def live_status(self, principal: Principal, id: str) -> LiveStatus:
        """How a device is at this moment.

        :raises EdgetainerError: `not_found`.
        """
        device = await self.get(principal, id)
        try:
            session = self._switchboard.session(id)
        except EdgetainerError:
            return LiveStatus(device.status, False, device.last_seen, device.ip_address, None)
        silent_s = max(0.0, self._clock.seconds() - session.connection.last_received)
        return LiveStatus(
            status=device.status,
            online=True,
            last_seen=self._now() - timedelta(seconds=silent_s),
            ip_address=session.peer[0],
            connected_s=max(0.0, self._clock.seconds() - session.opened_at),
        )

    async def create(
        self, principal: Principal, *, device_id: str, name: str, fleet_id: str | None
    ) -> Device:
        """Expect a device; a token made for it lets it enrol.

        :raises EdgetainerError: `already_exists`, `invalid_field` for an unknown fleet.
        """
        demand(principal, "devices.create")
        now = self._now()

        def create(connection: Connection) -> Device:
            id_ = place(connection, device_ids=[device_id], name=name, fleet_id=fleet_id, now=now)
            audit.append(connection, principal, "devices.create", now=now, target=("device", id_))
            return _found(stored.get(connection, id_), id_)

        return self._tell(await self._write(create))

    async def update(self, principal: Principal, id: str, values: dict[str, Any]) -> Device:
        """Change `name`, `subdomain` or `subdomain_enabled`, those that are in `values`.

        :raises EdgetainerError: `not_found`, `already_exists`, `invalid_field`.
        """
        demand(principal, "devices.update")
        now, subdomain = self._now(), values.get("subdomain")
        reason = naming.subdomain_problem(subdomain) if subdomain is not None else None
        if reason is not None:
            raise EdgetainerError("invalid_field", reason, field="subdomain")

        def change(connection: Connection) -> Device:
            stored.change(connection, id, now=now, **values)
            changed = _found(stored.get(connection, id), id)
            target, detail = ("device", id), {"fields": sorted(values)}
            audit.append(
                connection, principal, "devices.update", now=now, target=target, detail=detail
            )
            return changed

        return self._tell(await self._write(change))

    async def move(self, principal: Principal, id: str, fleet_id: str | None) -> Device:
        """Put a device into another fleet, or none; what it should run follows.

        :raises EdgetainerError: `not_found`, `invalid_field` for an unknown fleet.
        """
        demand(principal, "devices.move")
        now = self._now()

        def move(connection: Connection) -> tuple[Device, int | None]:
            before = _found(stored.get(connection, id), id)
            if before.fleet_id == fleet_id:
                return before, None
            stored.change(connection, id, now=now, fleet_id=fleet_id)
            revision = reassign(connection, id, left=before.fleet_id, now=now)
            target, detail = ("device", id), {"from": before.fleet_id, "to": fleet_id}
            audit.append(
                connection, principal, "devices.move", now=now, target=target, detail=detail
            )
            return _found(stored.get(connection, id), id), revision

        device, revision = await self._write(move)
        if revision is not None:
            self._switchboard.ring(id, revision)
        return self._tell(device)

    async def revoke(self, principal: Principal, id: str) -> None:
        """Accept the device no more: its keys are revoked and its session is closed.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "devices.revoke")
        now = self._now()

        def revoke(connection: Connection) -> None:
            if not stored.exists(connection, id):
                raise _missing(id)
            target, detail = ("device", id), {"keys": keys.revoke(connection, id, now=now)}
            audit.append(
                connection, principal, "devices.revoke", now=now, target=target, detail=detail
            )

        await self._database.run(revoke)
        self._identities.revoke(id)
        self.disconnect(id, "The device was revoked.")

    async def remove(self, principal: Principal, id: str) -> None:
        """Delete a device with everything of it; its session is closed.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "devices.delete")
        now = self._now()

        def remove(connection: Connection) -> None:
            device = _found(stored.get(connection, id), id)
            stored.remove(connection, id)
            settle_fleet(connection, device.fleet_id, now=now)
            target, detail = ("device", id), {"name": device.name}
            audit.append(
                connection, principal, "devices.delete", now=now, target=target, detail=detail
            )

        await self._database.run(remove)
        self._identities.revoke(id)
        self.disconnect(id, "The device was deleted.")
        for topic in ("devices", f"device:{id}"):
            self._events.publish(topic, "device.deleted", {"id": id})

    def disconnect(self, id: str, reason: str) -> None:
        """Close a device's session, if there is one, because its key no longer counts."""
        self._switchboard.disconnect(id, EdgetainerError("certificate_refused", reason))

    async def announce(self, id: str) -> None:
        """Tell who is watching how a device is now."""
        device = await self._database.read(lambda c: stored.get(c, id))
        if device is not None:
            self._tell(device)

    def tell(self, devices: Iterable[Device]) -> None:
        """Tell who is watching how these devices are now."""
        for device in devices:
            self._tell(device)

    def tell_containers(self, id: str, *, total: int) -> None:
        """Tell who is watching a device that it has told of its containers anew."""
        # Not the list: events are kept for a while, for each device.
        self._events.publish(f"device:{id}", "containers.updated", {"total": total})

    def _tell(self, device: Device) -> Device:
        document = self.document(device)
        for topic in ("devices", f"device:{device.id}"):
            self._events.publish(topic, "device.updated", document)
        return device

    async def _write(self, fn: Callable[[Connection], Any]) -> Any:
        try:
            return await self._database.run(fn)
        except IntegrityError as error:
            key = violated(error)
            if key is None:
                raise EdgetainerError(
                    "invalid_field", "There is no such fleet.", field="fleet_id"
                ) from error
            field = key.partition(".")[2]
            raise EdgetainerError(
                "already_exists", f"Another device has this {field}.", field=field
            ) from error


def place(
    connection: Connection,
    *,
    device_ids: Sequence[str],
    name: str,
    fleet_id: str | None,
    now: datetime,
) -> str:
    """Add a device within the caller's transaction; the id of its row.

    :param device_ids: what it may be called, the best first; the last is taken
        untried.
    :raises IntegrityError: the last is taken too, or there is no such fleet.
    """
    free = (known for known in device_ids[:-1] if not stored.device_id_taken(connection, known))
    entropy = iter(lambda: "".join(secrets.choice(_ALPHABET) for _ in range(5)), None)
    subdomain = next(
        candidate
        for candidate in naming.subdomains(name, entropy)
        if not stored.subdomain_taken(connection, candidate)
    )
    id_ = str(uuid4())
    stored.add(
        connection,
        id=id_,
        device_id=next(free, device_ids[-1]),
        name=name,
        fleet_id=fleet_id,
        subdomain=subdomain,
        now=now,
    )
    settle_fleet(connection, fleet_id, now=now)
    return id_


def _found(device: Device | None, id: str) -> Device:
    if device is None:
        raise _missing(id)
    return device


def _missing(id: str) -> EdgetainerError:
    return EdgetainerError("not_found", f"There is no device {id}.")
