"""Who may do what: one table, deny by default, one function that reads it.

Every door asks `decide` (the REST routes, the hub, terminals, commands, the
gateway), so they cannot disagree. A *Principal* (a person signed in) or a
*DeviceIdentity* asks; a *Decision* answers and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edgetainer.errors import EdgetainerError


class Role(StrEnum):
    """What a person is here for."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"


@dataclass(frozen=True)
class Principal:
    """A person who is signed in, or the server itself (`SYSTEM`)."""

    user_id: str
    username: str
    role: Role
    session_id: str | None = None  # the sign-in this came from; None for SYSTEM


@dataclass(frozen=True)
class DeviceIdentity:
    """A device that proved in the handshake that it holds an accepted key."""

    device_id: str  # the device's row id
    fingerprint: str  # SHA-256 of the key's SubjectPublicKeyInfo, hexadecimal


@dataclass(frozen=True)
class Decision:
    """Yes or no; a no carries its reason for a person."""

    allowed: bool
    reason: str = ""


# The server acting by itself: first start, command line, housekeeping.
SYSTEM = Principal(user_id="", username="system", role=Role.ADMIN)


@dataclass(frozen=True)
class Rule:
    """One row of the table."""

    roles: frozenset[Role] = frozenset()
    own: bool = False  # also everybody signed in, for what is their own
    public: bool = False  # nobody has to be signed in
    device: bool = False  # devices, and nobody else


_ADMIN = Rule(frozenset({Role.ADMIN}))
_OPERATOR = Rule(frozenset({Role.ADMIN, Role.OPERATOR}))
_VIEWER = Rule(frozenset(Role))
_SELF = Rule(frozenset({Role.ADMIN}), own=True)
_PUBLIC = Rule(public=True)
_DEVICE = Rule(device=True)

RULES: dict[str, Rule] = {
    # Signing in, and what needs no signing in. Enrolment asks for its own token.
    "auth.login": _PUBLIC,
    "auth.refresh": _PUBLIC,
    "auth.logout": _PUBLIC,
    "auth.me": _VIEWER,
    "health.read": _PUBLIC,
    "provision.register": _PUBLIC,
    # Devices, about themselves.
    "agent.read": _DEVICE,
    "agent.report": _DEVICE,
    # People.
    "users.read": _SELF,
    "users.update": _SELF,
    "users.list": _ADMIN,
    "users.create": _ADMIN,
    "users.delete": _ADMIN,
    "users.set_role": _ADMIN,
    # Fleets and devices.
    "fleets.read": _VIEWER,
    "fleets.write": _ADMIN,
    "fleets.delete": _ADMIN,
    "devices.read": _VIEWER,
    "devices.update": _OPERATOR,
    "devices.move": _OPERATOR,
    "devices.create": _ADMIN,
    "devices.delete": _ADMIN,
    "devices.revoke": _ADMIN,
    "devices.record": _ADMIN,  # the packets of a connection, without what is in them
    "provision.tokens": _ADMIN,
    # Inside a device. A shell on the host is a shell on everything.
    "command.container": _OPERATOR,
    "command.host": _ADMIN,
    "terminal.container": _OPERATOR,
    "terminal.host": _ADMIN,
    # Software and what runs where.
    "software.read": _VIEWER,
    "software.write": _OPERATOR,
    "software.privileged": _ADMIN,  # host mounts, privileged containers, the Docker socket
    "software.delete": _ADMIN,
    "deployments.read": _VIEWER,
    "deployments.write": _OPERATOR,
    # Doors to the outside.
    "exposures.read": _VIEWER,
    "exposures.write": _OPERATOR,
    "exposures.unprotect": _ADMIN,  # auth_required = false
    "exposures.visit": _VIEWER,
    # Live updates.
    "hub.connect": _VIEWER,
}


def decide(
    who: Principal | DeviceIdentity | None, action: str, *, owner: str | None = None
) -> Decision:
    """Whether `who` may do `action`.

    :param action: a key of `RULES`; an unknown one is refused.
    :param owner: the user or device that the thing belongs to, where it has one.
    """
    rule = RULES.get(action)
    if rule is None:
        return Decision(False, f"No rule allows {action}.")
    if rule.public:
        return Decision(True)
    if who is None:
        return Decision(False, "Sign in first.")
    if isinstance(who, DeviceIdentity):
        if not rule.device:
            return Decision(False, "Devices may not do this.")
        if owner is not None and owner != who.device_id:
            return Decision(False, "A device may do this only for itself.")
        return Decision(True)
    if rule.device:
        return Decision(False, "Only a device may do this, over its tunnel.")
    if who.role in rule.roles or (rule.own and owner is not None and owner == who.user_id):
        return Decision(True)
    names = " or ".join(f"a{'n' if r[0] in 'ao' else ''} {r}" for r in Role if r in rule.roles)
    return Decision(False, f"This needs {names}; you are signed in as {who.role}.")


def demand(
    who: Principal | DeviceIdentity | None, action: str, *, owner: str | None = None
) -> None:
    """`decide`, or raise.

    :raises EdgetainerError: `forbidden`, or `unauthenticated` when nobody asks.
    """
    decision = decide(who, action, owner=owner)
    if not decision.allowed:
        raise EdgetainerError("unauthenticated" if who is None else "forbidden", decision.reason)
