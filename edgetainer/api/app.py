"""The API put together from the services it delegates to.

Each noun's module has `add_routes(routes, *, …)`; this is the list of them. To
add one: a field in `Services`, a line in `make_routes`, and its actions in
`domain.access.RULES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Site

from edgetainer.api import (
    agent,
    auth,
    commands,
    containers,
    deployments,
    devices,
    exposed_services,
    fleets,
    health,
    heartbeat,
    hub,
    insight,
    provision,
    software,
    terminals,
    users,
    visits,
)
from edgetainer.api.route import Routes
from edgetainer.api.site import Gate, make_site
from edgetainer.services.agents import Agents
from edgetainer.services.authentication import Authentication
from edgetainer.services.commands import Commands
from edgetainer.services.containers import Containers
from edgetainer.services.deployments import Deployments
from edgetainer.services.devices import Devices
from edgetainer.services.enrolment import Enrolment
from edgetainer.services.exposures import Exposures
from edgetainer.services.fleets import Fleets
from edgetainer.services.hub import HubTickets
from edgetainer.services.insight import Insight
from edgetainer.services.presence import Presence
from edgetainer.services.software import Catalogue
from edgetainer.services.terminals import Terminals
from edgetainer.services.users import Users
from edgetainer.services.visits import Visits
from edgetainer.storage.database import Database

__all__ = ["Services", "make_console_site", "make_routes", "make_tunnel_site"]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the routes delegate to."""

    authentication: Authentication
    database: Database
    agents: Agents
    catalogue: Catalogue
    commands: Commands
    containers: Containers
    deployments: Deployments
    devices: Devices
    enrolment: Enrolment
    exposures: Exposures
    fleets: Fleets
    hub: HubTickets
    insight: Insight
    presence: Presence
    terminals: Terminals
    users: Users
    visits: Visits


def make_routes(services: Services, *, origins: Iterable[str]) -> Routes:
    """Every route of the API.

    :param origins: of the console's pages: `https://host[:port]`.
    """
    routes = Routes(authenticate=services.authentication.principal)
    health.add_routes(routes, database=services.database)
    auth.add_routes(routes, authentication=services.authentication, origins=origins)
    users.add_routes(routes, users=services.users)
    fleets.add_routes(routes, fleets=services.fleets, devices=services.devices)
    devices.add_routes(routes, devices=services.devices)
    insight.add_routes(routes, insight=services.insight)
    provision.add_routes(routes, enrolment=services.enrolment)
    heartbeat.add_routes(routes, presence=services.presence, agents=services.agents)
    software.add_routes(routes, catalogue=services.catalogue, deployments=services.deployments)
    deployments.add_routes(routes, deployments=services.deployments)
    exposed_services.add_routes(routes, exposures=services.exposures)
    commands.add_routes(routes, commands=services.commands)
    containers.add_routes(routes, containers=services.containers)
    agent.add_routes(routes, agents=services.agents)
    hub.add_routes(routes, hub=services.hub)
    terminals.add_routes(routes, terminals=services.terminals)
    visits.add_routes(routes, visits=services.visits)
    return routes


def make_console_site(
    routes: Routes,
    *,
    reactor: IReactorTime,
    authorities: Iterable[str],
    children: Mapping[bytes, IResource] | None = None,
    fallback: IResource | None = None,
) -> Site:
    """The console: `/api/…`, other resources (`{b"ws": hub}`) and the web UI.

    :param authorities: the Host values that are ours (`api.site.authority`).
    :param fallback: serves what nothing else does: the web UI.
    """
    gate = Gate(routes, authorities=authorities, children=children, fallback=fallback)
    return make_site(gate, reactor=reactor)


def make_tunnel_site(routes: Routes, *, reactor: IReactorTime) -> Site:
    """What a device reaches over its tunnel: `/api/agent/…` and nothing else."""
    return make_site(Gate(routes, authorities=None, prefix=b"/api/agent/"), reactor=reactor)
