"""The gateway's door: where a host name leads, and who may go there.

Every request passes here before a device hears of it. What needs no sign-in is
let through; else the visitor's pass decides (`services.visits` tells the whole
way of a visit). People in a browser are sent to sign in; programs get a 401. A
pass is worth nothing to another site: a request that a page elsewhere caused is
refused, even one from another device under the same domain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.exchange import Exchange
from edgetainer.gateway.head import RequestHead
from edgetainer.gateway.headers import our_cookies
from edgetainer.gateway.http1 import Http1Protocol
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.pages import Reply
from edgetainer.gateway.parties import Passage
from edgetainer.services.visits import ENTER_PATH, PASS_S, Visits, new_state

STATE_COOKIE = b"__Host-edgetainer-state"
PASS_COOKIE = b"__Host-edgetainer-visit"
#: Paths under this are the gateway's own on every outside host.
OWN_PATHS = b"/.edgetainer/"
#: Seconds that a browser may take to sign in.
STATE_S = 600
#: Bytes of a path worth coming back to after signing in; longer ones become "/".
TARGET_BYTES = 2048


class Route(Protocol):
    """Where an outside host name leads."""

    @property
    def device_id(self) -> str:
        """The device's row id."""

    @property
    def target(self) -> Any:
        """The port on it, a `TcpTarget`."""

    @property
    def auth_required(self) -> bool:
        """Whether visitors must be signed in."""


class Switchboard(Protocol):
    """What is needed of the switchboard."""

    def endpoint(self, device_id: str, target: Any) -> IStreamClientEndpoint:
        """The way to a target on a device."""


class Entrance:
    """Admits requests.

    :param resolve: where a host name leads; raises ``host_unknown`` or
        ``service_not_exposed``.
    :param console_url: the console's address, without a slash at the end.
    """

    def __init__(
        self,
        *,
        resolve: Callable[[str], Awaitable[Route]],
        switchboard: Switchboard,
        visits: Visits,
        console_url: str,
    ) -> None:
        self._resolve = resolve
        self._switchboard = switchboard
        self._visits = visits
        self._console_url = console_url

    async def admit(self, head: RequestHead) -> Passage | Reply:
        """The passage to the container, or the gateway's own answer.

        :raises EdgetainerError: when there is no way, or not for this visitor.
        """
        route = await self._resolve(head.authority.host)
        if head.path.startswith(OWN_PATHS):
            return await self._own(head, route)
        if route.auth_required:
            refuse_foreign(head)
            if not await self._known(head):
                if is_navigation(head):
                    return self._send_to_console(head)
                raise EdgetainerError("unauthenticated", "Visitors of this address must sign in.")
        way = self._switchboard.endpoint(route.device_id, route.target)
        return Passage(way, partial(self._recheck, head, route))

    async def _recheck(self, head: RequestHead, admitted: Route) -> None:
        route = await self._resolve(head.authority.host)
        if (route.device_id, route.target) != (admitted.device_id, admitted.target):
            # What the address led to then may be what must not be seen now.
            raise EdgetainerError("service_not_exposed", "The address leads elsewhere now.")
        if route.auth_required and not await self._known(head):
            raise EdgetainerError("unauthenticated", "The visitor has signed out.")

    async def _known(self, head: RequestHead) -> bool:
        passes = _texts(head, PASS_COOKIE)
        return await self._visits.visitor(head.authority.host, passes) is not None

    def _send_to_console(self, head: RequestHead) -> Reply:
        # One browser may be on its way in several tabs: they share the state.
        known = [state for state in _texts(head, STATE_COOKIE) if len(state) == len(new_state())]
        state = known[0] if known else new_state()
        target = head.target if len(head.target) <= TARGET_BYTES else b"/"
        back = self._visits.request_url(head.authority.host, state, target.decode("ascii"))
        return _redirect(
            f"{self._console_url}/visit?{urlencode({'to': back})}",
            _cookie(STATE_COOKIE, state, STATE_S),
        )

    async def _own(self, head: RequestHead, route: Route) -> Reply:
        if head.path != ENTER_PATH.encode("ascii") or not route.auth_required:
            raise EdgetainerError("not_found", "There is no such page.")
        if head.method != b"GET":
            raise EdgetainerError("method_not_allowed", "Use GET.")
        try:
            asked = parse_qs(head.target.partition(b"?")[2].decode("ascii"), max_num_fields=4)
        except ValueError:
            asked = {}
        tickets, targets = asked.get("ticket", []), asked.get("to", [])
        if len(tickets) != 1 or len(targets) > 1:
            raise EdgetainerError("ticket_invalid", "The address holds no ticket.")
        host = head.authority.host
        pass_ = await self._visits.enter(host, tickets[0], _texts(head, STATE_COOKIE))
        # Always on this host, whatever the address says.
        path = targets[0] if targets and _is_path(targets[0]) else "/"
        return _redirect(self._visits.url(host, path), _cookie(PASS_COOKIE, pass_, PASS_S))


def refuse_foreign(head: RequestHead) -> None:
    """Refuse a request that a page of another origin caused, except following a link.

    Browsers send a `SameSite=Lax` cookie along from sibling hosts, which belong
    to other devices here.

    :raises EdgetainerError: ``origin_refused``.
    """
    site = head.first(b"sec-fetch-site").lower()
    if site:
        # Said by the browser itself, of pages that send no Origin or "null" too.
        foreign = site not in (b"same-origin", b"none") and not _follows_link(head)
    else:
        own = f"https://{head.authority}".encode("ascii")
        origins = (own, own + b":443", own.removesuffix(b":443"))
        foreign = any(origin.lower() not in origins for origin in head.values(b"origin"))
    if foreign:
        raise EdgetainerError("origin_refused", "A page of another address sent the request.")


def _follows_link(head: RequestHead) -> bool:
    """Whether it opens a whole window, which the page that caused it cannot look into."""
    return (
        head.method in (b"GET", b"HEAD")
        and head.first(b"sec-fetch-mode").lower() == b"navigate"
        and head.first(b"sec-fetch-dest").lower() in (b"document", b"")
    )


def is_navigation(head: RequestHead) -> bool:
    """Whether a person opens the address in a browser's window."""
    if head.method != b"GET" or head.upgrade is not None:
        return False
    mode = head.first(b"sec-fetch-mode").lower()
    if mode:
        return mode == b"navigate"
    return b"text/html" in head.first(b"accept").lower()


def build_visitor(
    *, entrance: Entrance, clock: IReactorTime, limits: Limits
) -> Callable[[str, str], Http1Protocol]:
    """What builds visitors' connections for `listener.HttpsFactory`."""

    def open_exchange(visitor: Http1Protocol, head: RequestHead) -> Exchange:
        return Exchange(visitor=visitor, head=head, door=entrance, clock=clock, limits=limits)

    def build(server_name: str, address: str) -> Http1Protocol:
        return Http1Protocol(
            server_name=server_name,
            address=address,
            open_exchange=open_exchange,
            clock=clock,
            limits=limits,
        )

    return build


def _texts(head: RequestHead, cookie: bytes) -> list[str]:
    return [value.decode("latin-1") for value in our_cookies(head, cookie)]


def _is_path(text: str) -> bool:
    plain = text.isascii() and text.isprintable() and " " not in text and "\\" not in text
    return plain and text.startswith("/") and not text.startswith("//")


def _cookie(name: bytes, value: str, seconds: int) -> bytes:
    return b"%s=%s; Path=/; Max-Age=%d; Secure; HttpOnly; SameSite=Lax" % (
        name,
        value.encode("ascii"),
        seconds,
    )


def _redirect(location: str, cookie: bytes) -> Reply:
    return Reply(
        303,
        (
            (b"location", location.encode("ascii")),
            (b"set-cookie", cookie),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
            (b"content-length", b"0"),
        ),
    )
