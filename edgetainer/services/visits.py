"""Visits: people who are signed in to the console entering an exposed service.

The console and the devices' addresses are different hosts and share no cookie.
So a visit is handed over in three steps: the gateway marks the browser with a
random state and sends it to the console with the state's hash in the address;
the console, which knows the person, issues a ticket for that hash and host; the
gateway accepts the ticket once, from the browser that has the state, and gives
it a pass: a cookie that is good for one host, some hours and as long as the
person stays signed in. A ticket that leaks without the state opens nothing, and
nobody can be made to enter as somebody else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from twisted.internet.interfaces import IReactorTime

from edgetainer.domain.access import Principal, Role, demand
from edgetainer.errors import EdgetainerError
from edgetainer.services.tickets import Tickets

#: Seconds from the console's answer to the gateway's check.
TICKET_S = 60.0
#: Seconds that a pass is good for: a working day.
PASS_S = 8 * 3600
#: Characters of an address handed over; as much as a request line may have.
URL_LIMIT = 8192
#: Where the gateway accepts tickets; devices never see paths under its parent.
ENTER_PATH = "/.edgetainer/enter"

_FINGERPRINT = re.compile("[0-9a-f]{64}")


class Exposures(Protocol):
    """What is needed of the exposed services."""

    async def resolve(self, host: str) -> Any:
        """Raises EdgetainerError when nothing is published at `host`."""


@dataclass(frozen=True)
class _Ticket:
    principal: Principal
    host: str
    state: str


class Visits:
    """Hands people over to exposed services, and knows them there.

    :param standing: the principal as it stands now, asked at every request and so
        answered from memory; raises EdgetainerError when it is signed out.
    :param key: 32 secret bytes that authenticate passes.
    :param public_port: the HTTPS port in addresses.
    :param clock: for the seconds that tickets last.
    :param now: the date, which passes name: they outlive this process.
    """

    def __init__(
        self,
        *,
        exposures: Exposures,
        standing: Callable[[Principal], Awaitable[Principal]],
        key: bytes,
        public_port: int,
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._exposures = exposures
        self._standing = standing
        self._key = key
        self._public_port = public_port
        self._now = now
        self._tickets: Tickets[_Ticket] = Tickets(clock=clock, lifetime_s=TICKET_S)

    # The console's part.

    async def hand_over(self, principal: Principal, to: str) -> str:
        """Where to send the browser of `principal`, who wants to see `to`.

        :param to: an address of an exposed service, or the gateway's own request
            to be handed a visitor.
        :raises EdgetainerError: ``invalid_field``, ``host_unknown``,
            ``service_not_exposed`` or ``forbidden``.
        """
        demand(principal, "exposures.visit")
        host, path, query = self._read(to)
        await self._exposures.resolve(host)
        if path != ENTER_PATH:
            # No browser is waiting: visiting starts at the gateway, which asks back.
            return self.url(host, path + (f"?{query}" if query else ""))
        asked = parse_qs(query, max_num_fields=4)
        states, targets = asked.get("state", []), asked.get("to", ["/"])
        # Anything else as a state could only be kept here to no use.
        if len(states) != 1 or len(targets) != 1 or not _FINGERPRINT.fullmatch(states[0]):
            raise EdgetainerError("invalid_field", "The address is not the gateway's.", field="to")
        ticket = self._tickets.issue(_Ticket(principal, host, states[0]), owner=principal.user_id)
        return self.url(host, f"{ENTER_PATH}?{urlencode({'ticket': ticket, 'to': targets[0]})}")

    # The gateway's part.

    def request_url(self, host: str, state: str, to: str) -> str:
        """What the console is asked to hand over: back here, for this browser."""
        return self.url(host, f"{ENTER_PATH}?{urlencode({'state': fingerprint(state), 'to': to})}")

    async def enter(self, host: str, ticket: str, states: list[str]) -> str:
        """Exchange a ticket for a pass, a cookie's value.

        :param states: what the browser has as its state.
        :raises EdgetainerError: ``ticket_invalid``, ``session_expired`` or ``forbidden``.
        """
        found = self._tickets.redeem(ticket)
        matches = [hmac.compare_digest(fingerprint(state), found.state) for state in states]
        if found.host != host or not any(matches):
            raise EdgetainerError("ticket_invalid", "The ticket is for another browser or host.")
        demand(await self._standing(found.principal), "exposures.visit")
        return self._seal(
            {
                "host": host,
                "user": found.principal.user_id,
                "name": found.principal.username,
                "role": str(found.principal.role),
                "session": found.principal.session_id,
                "until": int(self._now().timestamp()) + PASS_S,
            }
        )

    async def visitor(self, host: str, passes: list[str]) -> Principal | None:
        """Who holds a good pass for `host` and is still signed in, or None.

        :raises EdgetainerError: ``forbidden`` when the person may not visit (any more).
        """
        for text in passes:
            claims = self._open(text)
            if (
                claims is None
                or claims["host"] != host
                or claims["until"] <= self._now().timestamp()
            ):
                continue
            holder = Principal(
                user_id=claims["user"],
                username=claims["name"],
                role=Role(claims["role"]),
                session_id=claims["session"],
            )
            try:
                principal = await self._standing(holder)
            except EdgetainerError as error:
                if error.status == 401:
                    continue
                raise
            demand(principal, "exposures.visit")
            return principal
        return None

    def url(self, host: str, rest: str) -> str:
        """The address of a path on an outside host."""
        port = "" if self._public_port == 443 else f":{self._public_port}"
        return f"https://{host}{port}{rest}"

    # Inside.

    def _read(self, to: str) -> tuple[str, str, str]:
        try:
            parts = urlsplit(to)
            port = parts.port or 443
        except ValueError:
            parts, port = urlsplit(""), 0
        plain = to.isascii() and to.isprintable() and "\\" not in to and " " not in to
        ours = parts.scheme == "https" and port == self._public_port and "@" not in parts.netloc
        if not (plain and ours and parts.hostname):
            raise EdgetainerError("invalid_field", "This is no address of a device.", field="to")
        return parts.hostname, quote(parts.path or "/", safe="/%:@!$&'()*+,;=~"), parts.query

    def _seal(self, claims: dict[str, Any]) -> str:
        body = _encode(json.dumps(claims, separators=(",", ":")).encode("utf-8"))
        return f"v1.{body}.{self._mac(body)}"

    def _open(self, text: str) -> dict[str, Any] | None:
        version, _, rest = text.partition(".")
        body, _, mac = rest.partition(".")
        if version != "v1" or not text.isascii() or not hmac.compare_digest(mac, self._mac(body)):
            return None
        try:
            # Ours, since the MAC is right; only its encoding could be an old one.
            claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=="))
        except (ValueError, binascii.Error):
            return None
        return claims

    def _mac(self, body: str) -> str:
        mac = hmac.new(self._key, b"edgetainer visit v1\0" + body.encode("ascii"), hashlib.sha256)
        return _encode(mac.digest())


def new_state() -> str:
    """A browser's state: 256 random bits."""
    return secrets.token_urlsafe()


def fingerprint(state: str) -> str:
    """The state as it may be shown in an address."""
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
