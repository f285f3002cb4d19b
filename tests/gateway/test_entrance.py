"""Who is let through the door, and the whole way of a visit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from edgetainer.domain.access import Principal, Role
from edgetainer.errors import EdgetainerError
from edgetainer.gateway.entrance import PASS_COOKIE, STATE_COOKIE, Entrance, build_visitor
from edgetainer.gateway.head import RequestHead, parse_head
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.pages import Reply
from edgetainer.gateway.parties import Passage
from edgetainer.services.visits import PASS_S, TICKET_S, Visits
from tests.gateway.support import HOST, Line, MemoryContainer, request
from tests.hub.support import OPERATOR, VIEWER, People
from tests.wall import wall

OTHER = "other.apps.example.com"
PUBLIC = "public.apps.example.com"
CONSOLE = "https://console.example.com:8443"


@dataclass(frozen=True)
class Route:
    device_id: str
    target: object
    auth_required: bool


class World:
    """The door and the console's part, on a clock that only the test moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.people = People()
        self.container = MemoryContainer()
        self.routes = {
            HOST: Route("d1", "web:80", True),
            OTHER: Route("d2", "web:80", True),
            PUBLIC: Route("d3", "web:80", False),
        }
        self.visits = Visits(
            exposures=self,
            standing=self.people.standing,
            key=b"k" * 32,
            public_port=8443,
            clock=self.clock,
            now=wall(self.clock),
        )
        self.entrance = Entrance(
            resolve=self.resolve, switchboard=self, visits=self.visits, console_url=CONSOLE
        )

    async def resolve(self, host: str) -> Route:
        if host not in self.routes:
            raise EdgetainerError("host_unknown")
        return self.routes[host]

    def endpoint(self, device_id: str, target: object) -> Any:
        assert target == "web:80"
        return self.container

    def admit(self, *lines: str, host: str = HOST, method: str = "GET", target: str = "/") -> Any:
        """What the door says: the endpoint, a Reply, or the code of a refusal."""
        said = result(self.entrance.admit(head(*lines, host=host, method=method, target=target)))
        return said.way if isinstance(said, Passage) else said

    def enter(self, *lines: str, host: str = HOST) -> Passage:
        """Be admitted, by a request that stays under way."""
        passage = result(self.entrance.admit(head(*lines, host=host)))
        assert isinstance(passage, Passage)
        return passage

    def hand_over(self, person: Principal, to: str) -> Any:
        return result(self.visits.hand_over(person, to))

    def go_to_sign_in(self, target: str = "/page?a=b") -> tuple[str, str]:
        """First steps of a visit: the state cookie, and what the console is asked."""
        reply = self.admit("Sec-Fetch-Mode: navigate", target=target)
        assert isinstance(reply, Reply)
        return cookie(reply, STATE_COOKIE), parse_qs(urlsplit(location(reply)).query)["to"][0]

    def visit(self, person: Principal = VIEWER) -> str:
        """The whole way; the Cookie header of somebody who may come in."""
        state, to = self.go_to_sign_in()
        url = urlsplit(self.hand_over(person, to))
        reply = self.admit(
            f"Cookie: __Host-edgetainer-state={state}", target=f"{url.path}?{url.query}"
        )
        return f"Cookie: __Host-edgetainer-visit={cookie(reply, PASS_COOKIE)}"


def head(*lines: str, host: str = HOST, method: str = "GET", target: str = "/") -> RequestHead:
    text = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}:8443", *lines])
    return parse_head(text.encode("latin-1") + b"\r\n\r\n", server_name=host)


def result(coroutine: Any) -> Any:
    """The value at once, or the code of the EdgetainerError."""
    out: list[Any] = []
    Deferred.fromCoroutine(coroutine).addCallbacks(out.append, lambda f: out.append(f.value))
    (value,) = out
    if isinstance(value, EdgetainerError):
        return value.code
    if isinstance(value, BaseException):
        raise value
    return value


def cookie(reply: Reply, name: bytes) -> str:
    (value,) = [v for k, v in reply.headers if k == b"set-cookie"]
    pair, *attributes = value.split(b"; ")
    assert {b"Path=/", b"Secure", b"HttpOnly", b"SameSite=Lax"} < set(attributes)
    assert not any(a.lower().startswith(b"domain") for a in attributes)
    found, _, text = pair.partition(b"=")
    assert found == name
    return text.decode("ascii")


def location(reply: Reply) -> str:
    assert reply.status == 303
    (value,) = [v for k, v in reply.headers if k == b"location"]
    return value.decode("ascii")


def test_a_visit_from_the_first_request_to_the_page() -> None:
    world = World()
    first = world.admit("Accept: text/html", target="/page?a=b&c=%2F")
    assert location(first).startswith(f"{CONSOLE}/visit?to=https%3A%2F%2F{HOST}%3A8443%2F")
    state = cookie(first, STATE_COOKIE)
    asked = parse_qs(urlsplit(location(first)).query)["to"][0]
    assert state not in asked, "what is in addresses gets into logs"

    back = world.hand_over(VIEWER, asked)
    assert back.startswith(f"https://{HOST}:8443/.edgetainer/enter?ticket=")
    url = urlsplit(back)
    entered = world.admit(
        f"Cookie: a=b; __Host-edgetainer-state={state}",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: navigate",
        target=f"{url.path}?{url.query}",
    )
    assert location(entered) == f"https://{HOST}:8443/page?a=b&c=%2F"
    pass_ = cookie(entered, PASS_COOKIE)
    assert world.admit(f"Cookie: __Host-edgetainer-visit={pass_}") is world.container


def test_who_is_not_in_a_browser_window_is_told_to_sign_in() -> None:
    world = World()
    for lines in (
        (),
        ("Accept: application/json",),
        ("Sec-Fetch-Mode: cors", "Accept: text/html"),
        ("Connection: Upgrade", "Upgrade: websocket", "Accept: text/html"),
    ):
        assert world.admit(*lines) == "unauthenticated"
    assert world.admit("Accept: text/html", method="POST") == "unauthenticated"
    assert world.container.lines == []


def test_a_public_service_needs_nothing() -> None:
    world = World()
    assert world.admit(host=PUBLIC) is world.container
    assert world.admit("Origin: https://evil.example", host=PUBLIC) is world.container
    assert world.admit(host=PUBLIC, target="/.edgetainer/enter?ticket=x") == "not_found"


def test_an_unknown_host_is_told_before_anything_else() -> None:
    world = World()
    assert world.admit("Accept: text/html", host="x.apps.example.com") == "host_unknown"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "v1",
        "v1..",
        "v1.e30.x",
        "v2.e30.x",
        "\xff",
        "v1.\xff.\xff",
        "." * 1000,
        "eyJhbGciOiJub25lIn0.e30.",
    ],
)
def test_a_malformed_pass_is_no_pass_and_no_failure(bad: str) -> None:
    world = World()
    assert world.admit(f"Cookie: __Host-edgetainer-visit={bad}") == "unauthenticated"


def test_a_pass_is_good_for_one_host_only() -> None:
    world = World()
    pass_ = world.visit()
    assert world.admit(pass_) is world.container
    assert world.admit(pass_, host=OTHER) == "unauthenticated"


def test_a_changed_pass_is_no_pass() -> None:
    world = World()
    pass_ = world.visit()
    for index in range(len("Cookie: __Host-edgetainer-visit=v1."), len(pass_), 7):
        other = "A" if pass_[index] != "A" else "B"
        changed = pass_[:index] + other + pass_[index + 1 :]
        assert world.admit(changed) == "unauthenticated"


def test_a_pass_ends_after_a_working_day() -> None:
    world = World()
    pass_ = world.visit()
    world.clock.advance(PASS_S - 1)
    assert world.admit(pass_) is world.container
    world.clock.advance(1)
    assert world.admit(pass_) == "unauthenticated"


def test_a_pass_ends_with_the_session_also_for_what_is_under_way() -> None:
    world = World()
    pass_ = world.visit()
    under_way = world.enter(pass_)
    assert result(under_way.recheck()) is None
    world.people.sign_out(VIEWER)
    assert world.admit(pass_) == "unauthenticated"
    assert isinstance(world.admit(pass_, "Accept: text/html"), Reply)
    assert result(under_way.recheck()) == "unauthenticated"


def test_what_is_under_way_ends_when_the_service_is_taken_away_or_protected() -> None:
    world = World()
    under_way = world.enter(host=PUBLIC)
    assert result(under_way.recheck()) is None
    world.routes[PUBLIC] = replace(world.routes[PUBLIC], auth_required=True)
    assert result(under_way.recheck()) == "unauthenticated"
    del world.routes[PUBLIC]
    assert result(under_way.recheck()) == "host_unknown"


@pytest.mark.parametrize("change", [{"target": "admin:9000"}, {"device_id": "d9"}])
def test_what_is_under_way_ends_when_the_address_leads_elsewhere(change: dict[str, str]) -> None:
    world = World()
    under_way = world.enter(host=PUBLIC)
    world.routes[PUBLIC] = replace(world.routes[PUBLIC], **change)
    assert result(under_way.recheck()) == "service_not_exposed"


def test_a_person_without_the_right_is_refused() -> None:
    world = World()
    pass_ = world.visit(OPERATOR)
    nobody = replace(OPERATOR, role="retired")  # type: ignore[arg-type]
    world.people.now[OPERATOR.user_id] = nobody
    assert world.admit(pass_) == "forbidden"
    _, to = world.go_to_sign_in()
    assert world.hand_over(nobody, to) == "forbidden"
    world.people.now[OPERATOR.user_id] = replace(OPERATOR, role=Role.VIEWER)
    assert world.admit(pass_) is world.container


def enter(world: World, url: str, *states: str, host: str = HOST) -> Any:
    parts = urlsplit(url)
    lines = [f"Cookie: __Host-edgetainer-state={state}" for state in states]
    return world.admit(*lines, host=host, target=f"{parts.path}?{parts.query}")


def test_a_ticket_is_good_once_for_a_minute_in_one_browser_on_one_host() -> None:
    world = World()
    state, to = world.go_to_sign_in()
    other_state, _ = world.go_to_sign_in()
    url = world.hand_over(VIEWER, to)
    assert isinstance(enter(world, url, state), Reply)
    assert enter(world, url, state) == "ticket_invalid"

    assert enter(world, world.hand_over(VIEWER, to)) == "ticket_invalid"
    assert enter(world, world.hand_over(VIEWER, to), other_state) == "ticket_invalid"
    assert enter(world, world.hand_over(VIEWER, to), state, host=OTHER) == "ticket_invalid"
    late = world.hand_over(VIEWER, to)
    world.clock.advance(TICKET_S)
    assert enter(world, late, state) == "ticket_invalid"
    gone = world.hand_over(VIEWER, to)
    world.people.sign_out(VIEWER)
    assert enter(world, gone, state) == "session_expired"


def test_two_tabs_on_their_way_share_one_state() -> None:
    world = World()
    state, first = world.go_to_sign_in("/1")
    line = f"Cookie: __Host-edgetainer-state={state}"
    reply = world.admit(line, "Accept: text/html", target="/2")
    assert cookie(reply, STATE_COOKIE) == state
    second = parse_qs(urlsplit(location(reply)).query)["to"][0]
    for to, path in ((second, "/2"), (first, "/1")):
        assert location(enter(world, world.hand_over(VIEWER, to), state)).endswith(path)


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/a b", "", "x\r\ny"]
)
def test_coming_back_never_leads_to_another_host(target: str) -> None:
    world = World()
    state = "s" * 43
    to = world.visits.request_url(HOST, state, target)
    reply = enter(world, world.hand_over(VIEWER, to), state)
    parts = urlsplit(location(reply))
    assert (parts.scheme, parts.netloc) == ("https", f"{HOST}:8443")
    assert "evil" not in location(reply)


@pytest.mark.parametrize(
    ("to", "answer"),
    [
        (f"https://{HOST}:8443/a?b=c", f"https://{HOST}:8443/a?b=c"),
        (f"https://{HOST}:8443", f"https://{HOST}:8443/"),
        ("https://unknown.apps.example.com:8443/", "host_unknown"),
        ("https://evil.example:8443/", "host_unknown"),
        (f"http://{HOST}:8443/", "invalid_field"),
        (f"https://{HOST}/", "invalid_field"),
        (f"https://{HOST}:99999/", "invalid_field"),
        (f"https://a@{HOST}:8443/", "invalid_field"),
        (f"https://{HOST}:8443\\@evil.example/", "invalid_field"),
        ("javascript:alert(1)", "invalid_field"),
        ("https://[::1/", "invalid_field"),
        ("/visit", "invalid_field"),
        (f"https://{HOST}:8443/\u00e4", "invalid_field"),
        (f"https://{HOST}:8443/.edgetainer/enter", "invalid_field"),
        (f"https://{HOST}:8443/.edgetainer/enter?state=a&state=b", "invalid_field"),
    ],
)
def test_the_console_hands_over_only_to_addresses_of_devices(to: str, answer: str) -> None:
    assert World().hand_over(VIEWER, to) == answer


@pytest.mark.parametrize(
    ("lines", "method"),
    [
        (("Origin: https://evil.example",), "GET"),
        ((f"Origin: https://{OTHER}:8443",), "POST"),
        (("Origin: null",), "POST"),
        (("Origin: https://evil.example", "Connection: Upgrade", "Upgrade: websocket"), "GET"),
        (("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"), "GET"),
        (("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate"), "POST"),
        (("Sec-Fetch-Site: cross-site",), "GET"),
        (
            (
                "Sec-Fetch-Site: same-site",
                "Sec-Fetch-Mode: navigate",
                "Sec-Fetch-Dest: iframe",
            ),
            "GET",
        ),
    ],
)
def test_pages_of_other_addresses_cannot_use_a_visitors_pass(
    lines: tuple[str, ...], method: str
) -> None:
    world = World()
    assert world.admit(world.visit(), *lines, method=method) == "origin_refused"


@pytest.mark.parametrize(
    ("lines", "method"),
    [
        ((f"Origin: https://{HOST}:8443", "Sec-Fetch-Site: same-origin"), "POST"),
        ((f"Origin: https://{HOST}:8443",), "POST"),
        # A form on a page whose policy is to send no referrer.
        (("Origin: null", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate"), "POST"),
        (("Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"), "GET"),
        (("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"), "GET"),
        ((), "DELETE"),
    ],
)
def test_the_services_own_pages_and_links_from_elsewhere_can(
    lines: tuple[str, ...], method: str
) -> None:
    world = World()
    assert world.admit(world.visit(), *lines, method=method) is world.container


@pytest.mark.parametrize(
    ("target", "method", "code"),
    [
        ("/.edgetainer/", "GET", "not_found"),
        ("/.edgetainer/other", "GET", "not_found"),
        ("/.edgetainer/enter", "GET", "ticket_invalid"),
        ("/.edgetainer/enter?ticket=a&ticket=b", "GET", "ticket_invalid"),
        ("/.edgetainer/enter?ticket=a&a=1&b=2&c=3&d=4", "GET", "ticket_invalid"),
        ("/.edgetainer/enter?ticket=%ff", "GET", "ticket_invalid"),
        ("/.edgetainer/enter?ticket=a", "POST", "method_not_allowed"),
    ],
)
def test_the_gateways_own_paths_never_reach_a_device(target: str, method: str, code: str) -> None:
    world = World()
    assert world.admit(world.visit(), target=target, method=method) == code


def test_a_container_sees_neither_pass_nor_state_nor_token() -> None:
    world = World()
    pass_ = world.visit()
    token = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJlZGdldGFpbmVyIiwic3ViIjoieCJ9.c2ln"
    line = Line()
    build = build_visitor(entrance=world.entrance, clock=world.clock, limits=Limits())
    visitor = build(HOST, "192.0.2.7")
    visitor.makeConnection(line)
    visitor.dataReceived(
        request(
            f"{pass_}; mine=1; __Host-edgetainer-state=abc; __Host-edgetainer-refresh=def",
            f"Authorization: Bearer {token}",
        )
    )
    received = world.container.received
    assert b"cookie: mine=1\r\n" in received
    assert b"edgetainer" not in received.lower()
    assert token.encode() not in received
