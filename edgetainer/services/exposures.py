"""Exposed services: which container ports have an outside address, and where it leads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from edgetainer.domain import naming
from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.services.addresses import Addresses, Route
from edgetainer.services.deployments import Bell
from edgetainer.storage import audit, revisions
from edgetainer.storage import exposed_services as stored
from edgetainer.storage.database import Database, violated
from edgetainer.storage.exposed_services import ExposedService
from edgetainer.tunnel.messages import TcpTarget

# Services of one device: their doors travel to it whole, at every change.
MAX_SERVICES = 64


@dataclass(frozen=True)
class Exposed:
    """An exposed service and the address it has, None while it has none."""

    service: ExposedService
    url: str | None


class Exposures:
    """The doors of devices to the outside.

    :param apps_domain: the zone of the devices' addresses.
    :param public_port: the HTTPS port in addresses.
    """

    def __init__(
        self,
        *,
        database: Database,
        bell: Bell,
        events: Events,
        now: Callable[[], datetime],
        apps_domain: str,
        public_port: int,
    ) -> None:
        self._database = database
        self._bell = bell
        self._events = events
        self._now = now
        self._apps_domain = apps_domain
        self._public_port = public_port
        self._addresses = Addresses(database=database, events=events, apps_domain=apps_domain)

    async def resolve(self, host: str) -> Route:
        """The service behind an outside host name (without a port).

        :raises EdgetainerError: `host_unknown`, no device has this address;
            `service_not_exposed`, the device has no such enabled service.
        """
        return await self._addresses.resolve(host)

    async def of_device(self, principal: Principal, device_id: str) -> list[Exposed]:
        """A device's exposed services, the oldest first.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "exposures.read")

        def read(connection: Connection) -> list[Exposed]:
            device = stored.address(connection, device_id)
            if device is None:
                raise _no_device(device_id)
            found = stored.of_device(connection, device_id)
            return [self._exposed(service, device) for service in found]

        return await self._database.read(read)

    async def get(self, principal: Principal, device_id: str, id: str) -> Exposed:
        """One of a device's exposed services.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "exposures.read")

        def read(connection: Connection) -> Exposed:
            service = stored.get(connection, device_id, id)
            if service is None:
                raise _no_service(id)
            return self._exposed(service, stored.address(connection, device_id))

        return await self._database.read(read)

    async def create(
        self,
        principal: Principal,
        device_id: str,
        *,
        name: str,
        container_name: str,
        internal_port: int,
        auth_required: bool = True,
        enabled: bool = True,
    ) -> Exposed:
        """Expose a container's port.

        :raises EdgetainerError: `not_found`, `already_exists`, `invalid_field`;
            `forbidden`, it needs no sign-in and the caller may not allow that.
        """
        demand(principal, "exposures.write")
        now = self._now()
        service = ExposedService(
            id=str(uuid4()),
            device_id=device_id,
            name=name,
            container_name=container_name,
            internal_port=internal_port,
            external_port=None,
            protocol="http",
            url_path=None,
            auth_required=auth_required,
            enabled=enabled,
            created_at=now,
            updated_at=now,
        )
        _check(principal, None, service)

        def add(connection: Connection) -> ExposedService:
            if stored.count(connection, device_id) >= MAX_SERVICES:
                raise EdgetainerError(
                    "invalid_request", f"A device exposes at most {MAX_SERVICES} services."
                )
            stored.add(connection, service)
            return service

        return await self._change(principal, device_id, "exposures.create", add)

    async def update(
        self,
        principal: Principal,
        device_id: str,
        id: str,
        changes: dict[str, Any],
    ) -> Exposed:
        """Change some of `name`, `container_name`, `internal_port`, `auth_required`, `enabled`.

        :raises EdgetainerError: as `create` does.
        """
        demand(principal, "exposures.write")
        now = self._now()

        def alter(connection: Connection) -> ExposedService:
            found = stored.get(connection, device_id, id, lock=True)
            if found is None:
                raise _no_service(id)
            changed = replace(found, **changes)
            if changed != found:
                _check(principal, found, changed)
                changed = replace(changed, updated_at=now)
                stored.replace(connection, changed)
            return changed

        return await self._change(principal, device_id, "exposures.update", alter)

    async def delete(self, principal: Principal, device_id: str, id: str) -> None:
        """Expose it no longer.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "exposures.write")

        def remove(connection: Connection) -> ExposedService:
            found = stored.remove(connection, device_id, id)
            if found is None:
                raise _no_service(id)
            return found

        await self._change(principal, device_id, "exposures.delete", remove)

    async def _change(
        self,
        principal: Principal,
        device_id: str,
        action: str,
        change: Callable[[Connection], ExposedService],
    ) -> Exposed:
        now = self._now()

        def run(connection: Connection) -> tuple[Exposed, dict[str, int]]:
            # First: it locks the device's row, so that changes of one device take turns.
            raised = revisions.raise_device(connection, device_id)
            device = stored.address(connection, device_id)
            if device is None:
                raise _no_device(device_id)
            service = change(connection)
            audit.append(
                connection,
                principal,
                action,
                target=("device", device_id),
                detail={
                    "service_id": service.id,
                    "name": service.name,
                    "container_name": service.container_name,
                    "internal_port": service.internal_port,
                    "auth_required": service.auth_required,
                    "enabled": service.enabled,
                },
                now=now,
            )
            return self._exposed(service, device), raised

        try:
            exposed, raised = await self._database.run(run)
        except IntegrityError as error:
            if violated(error) != "exposed_services.device_id,name":
                raise
            raise EdgetainerError(
                "already_exists", "The device exposes a service of this name.", field="name"
            ) from error
        finally:
            # Also when the commit's answer was lost: forgetting is always safe.
            self._addresses.forget()
        for device_id_, revision in raised.items():
            self._bell.ring(device_id_, revision)
        self._events.publish(
            f"device:{device_id}", "exposed_services.updated", {"device_id": device_id}
        )
        return exposed

    def _exposed(self, service: ExposedService, device: stored.Address | None) -> Exposed:
        url = None
        if device is not None and device.subdomain is not None and device.subdomain_enabled:
            url = naming.app_url(
                device.subdomain,
                service.name,
                apps_domain=self._apps_domain,
                port=self._public_port,
            )
        return Exposed(service, url)


def _check(principal: Principal, before: ExposedService | None, after: ExposedService) -> None:
    problem = naming.service_problem(after.name)
    if problem is not None:
        raise EdgetainerError("invalid_field", f"name: {problem}", field="name")
    try:
        TcpTarget(service=after.container_name, port=after.internal_port)
    except EdgetainerError as error:
        names = {"service": "container_name", "port": "internal_port"}
        field = names.get(error.field or "", error.field)
        raise EdgetainerError(error.code, error.detail, field=field) from error
    # Whatever leaves an open door without a sign-in (making it, opening it
    # again, leading it elsewhere), and saying so of a shut one, which somebody
    # who may open it could take for an ordinary one.
    said = before is None or before.auth_required
    if not after.auth_required and after != before and (after.enabled or said):
        demand(principal, "exposures.unprotect")


def _no_device(id: str) -> EdgetainerError:
    return EdgetainerError("not_found", f"There is no device {id}.")


def _no_service(id: str) -> EdgetainerError:
    return EdgetainerError("not_found", f"The device exposes no service {id}.")
