"""Where outside host names lead, from memory.

The gateway asks for every request. What the database said is kept until
something changes: an exposed service (`Exposures` says so), or a device, which
is announced as an event.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from edgetainer.domain import naming
from edgetainer.errors import EdgetainerError
from edgetainer.events import Event, Events
from edgetainer.storage import exposed_services as stored
from edgetainer.storage.database import Database
from edgetainer.storage.exposed_services import Addressed, ExposedService
from edgetainer.tunnel.messages import TcpTarget

# Subdomains remembered, about 1 KiB each. Unknown ones count too, so that
# strangers who try names do not reach the database each time.
MAX_REMEMBERED = 4096
# The service that answers at the device's bare subdomain, where one has this
# name; else it is the oldest enabled one.
DEFAULT = "default"


@dataclass(frozen=True)
class Route:
    """Where an outside host name leads."""

    device_id: str
    service_id: str
    service_name: str
    target: TcpTarget
    auth_required: bool


class Addresses:
    """The outside addresses of devices.

    :param apps_domain: the zone that they are in.
    """

    def __init__(self, *, database: Database, events: Events, apps_domain: str) -> None:
        self._database = database
        self._apps_domain = apps_domain
        self._remembered: OrderedDict[str, Addressed | None] = OrderedDict()
        self._subdomains: dict[str, str] = {}  # of the devices remembered, by their ids
        self._generation = 0
        events.subscribe("devices", self._device_changed)

    async def resolve(self, host: str) -> Route:
        """The service behind an outside host name (without a port).

        :raises EdgetainerError: `host_unknown`, no device has this address;
            `service_not_exposed`, the device has no such enabled service.
        """
        name = naming.parse_app_host(host, apps_domain=self._apps_domain)
        device = await self._addressed(name.subdomain) if name else None
        if name is None or device is None or not device.subdomain_enabled:
            raise EdgetainerError("host_unknown", f"No device has the address {host[:253]}.")
        service = _choose(device.services, name.service)
        if service is None:
            what = f"service {name.service}" if name.service else "service"
            raise EdgetainerError("service_not_exposed", f"The device exposes no {what} here.")
        return Route(
            device_id=device.device_id,
            service_id=service.id,
            service_name=service.name,
            target=TcpTarget(service=service.container_name, port=service.internal_port),
            auth_required=service.auth_required,
        )

    def forget(self) -> None:
        """Ask the database again from now on: an address, or what is behind it, changed."""
        self._generation += 1
        self._remembered.clear()
        self._subdomains.clear()

    def _device_changed(self, event: Event) -> None:
        # Most of these events tell of metrics; only a changed address matters.
        self._generation += 1
        device_id, subdomain = event.data.get("id"), event.data.get("subdomain")
        known = self._remembered.get(subdomain) if subdomain else None
        if (
            event.type != "device.updated"
            or self._subdomains.get(str(device_id), subdomain) != subdomain
            or (subdomain in self._remembered and known is None)
            or (known and known.device_id != device_id)
            or (known and known.subdomain_enabled != event.data.get("subdomain_enabled"))
        ):
            self.forget()

    async def _addressed(self, subdomain: str) -> Addressed | None:
        if subdomain in self._remembered:
            self._remembered.move_to_end(subdomain)
            return self._remembered[subdomain]
        generation = self._generation
        found = await self._database.read(lambda c: stored.addressed(c, subdomain))
        # What was read while something changed may be from before the change.
        if generation == self._generation:
            self._remember(subdomain, found)
        return found

    def _remember(self, subdomain: str, found: Addressed | None) -> None:
        self._remembered[subdomain] = found
        if found is not None:
            self._subdomains[found.device_id] = subdomain
        if len(self._remembered) > MAX_REMEMBERED:
            _, oldest = self._remembered.popitem(last=False)
            if oldest is not None:
                self._subdomains.pop(oldest.device_id, None)


def _choose(services: tuple[ExposedService, ...], name: str | None) -> ExposedService | None:
    named = next((s for s in services if s.name == (name or DEFAULT)), None)
    if named is None and name is None:
        return services[0] if services else None
    return named
