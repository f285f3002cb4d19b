"""All parts of a running server, put together; nothing here runs or listens yet.

Read it from the top: each part gets the ones above it. `tap` starts and stops them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edgetainer.api.app import Services, make_console_site, make_routes, make_tunnel_site
from edgetainer.api.site import authority as host_of
from edgetainer.api.webui import Pages, read_pages
from edgetainer.config import Settings
from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.gateway.certificates import ServerCertificate
from edgetainer.gateway.entrance import Entrance, build_visitor
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.listener import HttpsFactory
from edgetainer.hub.protocol import HubResource, LiveSocket
from edgetainer.hub.terminal import TerminalSocket
from edgetainer.quic.endpoint import ServerTls
from edgetainer.services.access_tokens import AccessTokens
from edgetainer.services.agents import Agents
from edgetainer.services.authentication import Authentication
from edgetainer.services.authority import Authority
from edgetainer.services.certificates import Identity
from edgetainer.services.commands import Commands
from edgetainer.services.containers import Containers
from edgetainer.services.deployments import Deployments
from edgetainer.services.devices import Devices
from edgetainer.services.enrolment import Enrolment
from edgetainer.services.exposures import Exposures
from edgetainer.services.fleets import Fleets
from edgetainer.services.hub import HubTickets
from edgetainer.services.identities import Identities
from edgetainer.services.insight import Insight
from edgetainer.services.passwords import Passwords
from edgetainer.services.presence import Presence
from edgetainer.services.software import Catalogue
from edgetainer.services.terminals import Terminals
from edgetainer.services.throttle import Throttle
from edgetainer.services.users import Users
from edgetainer.services.visits import Visits
from edgetainer.services.web_authority import WebAuthority
from edgetainer.storage import files
from edgetainer.storage.database import Database
from edgetainer.switchboard import Switchboard
from edgetainer.tunnel.limits import KEEPALIVE
from edgetainer.tunnel.listener import TunnelListener
from edgetainer.tunnel.session import Session
from edgetainer.tunnel.websocket import ROOT as TUNNEL
from edgetainer.tunnel.websocket import WebSocketEntry


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def secret(settings: Settings, name: str) -> bytes:
    """A secret of this installation, made when it is first asked for."""
    return files.secret(settings.state_dir / "keys" / name)


@dataclass(frozen=True)
class People:
    """What has to do with signing in."""

    passwords: Passwords
    authentication: Authentication
    users: Users


def compose_people(settings: Settings, database: Database, *, reactor: Any) -> People:
    """The parts that the first start needs as well.

    :param reactor: None has passwords hashed at once, in the caller's thread.
    """
    passwords = Passwords(pepper=secret(settings, "password-pepper"), reactor=reactor)
    throttle = Throttle(now=now)
    authentication = Authentication(
        database=database,
        passwords=passwords,
        tokens=AccessTokens(key=secret(settings, "access-tokens"), now=now),
        throttle=throttle,
        now=now,
    )
    users = Users(
        database=database,
        passwords=passwords,
        authentication=authentication,
        throttle=throttle,
        now=now,
    )
    return People(passwords, authentication, users)


@dataclass(frozen=True)
class Parts:
    """What has to be started and stopped."""

    database: Database
    passwords: Passwords
    identities: Identities
    switchboard: Switchboard
    presence: Presence
    tunnel: TunnelListener
    https: HttpsFactory
    certificate: ServerCertificate


def compose(settings: Settings, *, reactor: Any) -> Parts:
    """Make every part of a server."""
    database = Database(settings.database_url, reactor=reactor)
    people = compose_people(settings, database, reactor=reactor)
    standing = people.authentication.still
    authority = Authority(settings.state_dir / "keys", now=now)
    events = Events(now=now)
    switchboard = Switchboard(reactor=reactor, silence_limit_s=settings.silence_limit_s)
    identities = Identities(database=database, authority=authority.certificate, now=now)
    devices = Devices(
        database=database,
        switchboard=switchboard,
        identities=identities,
        events=events,
        apps_domain=settings.apps_domain,
        public_port=settings.public_port,
        clock=reactor,
        now=now,
    )
    presence = Presence(
        database=database, switchboard=switchboard, devices=devices, clock=reactor, now=now
    )
    exposures = Exposures(
        database=database,
        bell=switchboard,
        events=events,
        now=now,
        apps_domain=settings.apps_domain,
        public_port=settings.public_port,
    )
    visits = Visits(
        exposures=exposures,
        standing=standing,
        key=secret(settings, "visits"),
        public_port=settings.public_port,
        clock=reactor,
        now=now,
    )
    hub = HubTickets(standing=standing, clock=reactor)
    terminals = Terminals(
        database=database,
        switchboard=switchboard,
        standing=standing,
        check_device=devices.get,
        clock=reactor,
        now=now,
    )
    routes = make_routes(
        Services(
            authentication=people.authentication,
            database=database,
            agents=Agents(
                database=database,
                events=events,
                now=now,
                heartbeat_s=settings.heartbeat_s,
                changed=presence.refresh,
            ),
            catalogue=Catalogue(database=database, now=now),
            commands=Commands(database=database, devices=switchboard, reactor=reactor, now=now),
            containers=Containers(database=database),
            deployments=Deployments(database=database, bell=switchboard, events=events, now=now),
            devices=devices,
            enrolment=Enrolment(
                database=database,
                authority=authority,
                identities=identities,
                devices=devices,
                tunnel_addresses=settings.tunnel_addresses,
                now=now,
            ),
            exposures=exposures,
            fleets=Fleets(database=database, now=now),
            hub=hub,
            insight=Insight(
                database=database, switchboard=switchboard, devices=devices, clock=reactor, now=now
            ),
            presence=presence,
            terminals=terminals,
            users=people.users,
            visits=visits,
        ),
        origins=[settings.console_url],
    )
    tunnel = TunnelListener(
        reactor=reactor,
        interface=settings.interface,
        port=settings.tunnel_port,
        tls=ServerTls(
            certificate_chain=authority.tunnel.certificate_chain,
            private_key=authority.tunnel.private_key,
            verify_client=identities.verify,
        ),
        site=make_tunnel_site(routes, reactor=reactor),
        static_key=secret(settings, "quic-static"),
        window_budget=settings.window_budget_mib * 1024 * 1024,
        on_session=welcome(settings, identities=identities, switchboard=switchboard),
    )
    origins = frozenset({settings.console_url})
    sockets = HubResource(
        reactor=reactor,
        origins=origins,
        live=lambda: LiveSocket(clock=reactor, origins=origins, tickets=hub, events=events),
        terminal=lambda: TerminalSocket(clock=reactor, origins=origins, terminals=terminals),
    )
    console = make_console_site(
        routes,
        reactor=reactor,
        authorities=[host_of(settings.console_host, settings.public_port)],
        children={b"ws": sockets, TUNNEL: WebSocketEntry(tunnel)},
        fallback=Pages(
            read_pages(settings.web_dir),
            # Only for a certificate that browsers trust without help.
            strict_transport=settings.tls_certificate is not None,
        ),
    )
    entrance = Entrance(
        resolve=exposures.resolve,
        switchboard=switchboard,
        visits=visits,
        console_url=settings.console_url,
    )
    limits = Limits()
    shown = tls_identity(settings)
    certificate = ServerCertificate(shown.certificate_chain, shown.private_key)
    https = HttpsFactory(
        certificate=certificate,
        apps_domain=settings.apps_domain,
        build_visitor=build_visitor(entrance=entrance, clock=reactor, limits=limits),
        console=console,
        clock=reactor,
        limits=limits,
    )
    return Parts(
        database=database,
        passwords=people.passwords,
        identities=identities,
        switchboard=switchboard,
        presence=presence,
        tunnel=tunnel,
        https=https,
        certificate=certificate,
    )


def tls_identity(settings: Settings) -> Identity:
    """What the HTTPS port shows: the operator's certificate, or one of our own.

    :raises EdgetainerError: `config_invalid`, a file cannot be read.
    """
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return WebAuthority(
            settings.state_dir / "tls",
            console_host=settings.console_host,
            apps_domain=settings.apps_domain,
            now=now,
        ).server
    try:
        return Identity(
            settings.tls_certificate.read_bytes(), settings.tls_private_key.read_bytes()
        )
    except OSError as error:
        raise EdgetainerError(
            "config_invalid", f"cannot read tls_certificate or tls_private_key: {error}"
        ) from error


def welcome(
    settings: Settings, *, identities: Identities, switchboard: Switchboard
) -> Callable[[Session], Mapping[str, Any]]:
    """What greets a device whose certificate was accepted."""

    def greet(session: Session) -> Mapping[str, Any]:
        identity = session.connection.identity
        # The key may have been revoked between the handshake and this moment.
        if identities.device_for(identity.fingerprint) != session.device_id:
            raise EdgetainerError("certificate_refused", "The device was revoked.")
        switchboard.add(session)
        return {
            "time": now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "heartbeat_s": settings.heartbeat_s,
            "keepalive_s": KEEPALIVE,
        }

    return greet
