"""Every route has its permission; nothing that comes in makes it fall over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetainer.domain.access import RULES, Role

ROOT = Path(__file__).parents[2]
ID = "0b6c7a52-25b5-4f7c-9d7d-8b2f1c9f0001"


@pytest.fixture
def rules(api):
    """Werkzeug's map, which is what requests are matched against."""
    return list(api.routes.klein.url_map.iter_rules())


def test_every_route_of_the_map_has_a_row_in_the_table(api, rules):
    assert rules
    for rule in rules:
        route = api.routes.by_endpoint.get(rule.endpoint)
        assert route is not None, f"{rule.rule} was added past Routes.add"
        assert route.action in RULES, rule.rule
        assert route.method in rule.methods
        assert rule.rule.startswith("/api/")


def test_every_row_of_the_table_that_a_route_needs_is_used(api):
    """Actions without a route are asked for inside a service; each is named here."""
    inside = {
        "users.set_role", "command.host", "terminal.host", "software.privileged",
        "exposures.unprotect",
    }  # fmt: skip
    used = {route.action for route in api.routes.by_endpoint.values()}
    assert set(RULES) - used <= inside


def test_the_documentation_lists_every_route_with_who_may(api):
    said = set()
    for line in (ROOT / "docs" / "api.md").read_text().splitlines():
        found = re.fullmatch(r"\| ([A-Z]+) \| `(/api/[^`]*)` \| (.*) \|", line)
        if found:
            said.add(found.groups())
    true = set()
    for route in api.routes.by_endpoint.values():
        rule = RULES[route.action]
        if rule.public or rule.device:
            who = "anybody" if rule.public else "devices"
        else:
            who = ", ".join([r.value for r in Role if r in rule.roles] + ["oneself"] * rule.own)
        path = re.sub(r"<(?:\w+:)?(\w+)>", r":\1", route.path)
        true.add((route.method, path, who))
    assert said == true


def _asked(rule, value=ID):
    return re.sub(r"<[^>]+>", value, rule.rule)


def test_nobody_gets_in_without_signing_in(api, rules):
    for rule in rules:
        route = api.routes.by_endpoint[rule.endpoint]
        if RULES[route.action].public:
            continue
        answer = api.ask(route.method, _asked(rule), {}, who=None)
        assert (answer.status, answer.code) == (401, "unauthenticated"), rule.endpoint
        answer = api.ask(
            route.method, _asked(rule), {}, who=None, headers={"Authorization": "Bearer nonsense"}
        )
        assert answer.status == 401, rule.endpoint


@pytest.mark.parametrize("who", ["viewer", "operator", "admin"])
def test_what_a_role_may_not_is_refused_before_anything_else(api, rules, who):
    """With a foreign id and an empty body: 403 exactly where the table says so."""
    refused = set()
    for rule in rules:
        route = api.routes.by_endpoint[rule.endpoint]
        known = RULES[route.action]
        if known.public or known.device:
            continue
        answer = api.ask(route.method, _asked(rule), who=who)
        permitted = any(role.value == who for role in known.roles)
        assert (answer.status == 403) == (not permitted), (rule.endpoint, answer.body)
        assert answer.status < 500, (rule.endpoint, answer.body)
        if not permitted:
            assert answer.code == "forbidden"
            refused.add(route.action)
    assert bool(refused) == (who != "admin")


def test_a_device_is_no_person(api, rules):
    device_id = api.home.device()
    for rule in rules:
        route = api.routes.by_endpoint[rule.endpoint]
        answer = api.tell(route.method, _asked(rule), None, device_id=device_id)
        if RULES[route.action].device:
            assert answer.status in (200, 400), (rule.endpoint, answer.body)
        else:
            # Nothing else is even there.
            assert (answer.status, answer.code) == (404, "not_found"), rule.endpoint


def test_every_id_that_is_not_there_is_not_found(api, rules):
    """As admin, so that only the id is wrong; bodies come later than ids."""
    api.ask("GET", "/api/fleets")
    for rule in rules:
        route = api.routes.by_endpoint[rule.endpoint]
        if "<" not in rule.rule or route.body is not None or RULES[route.action].device:
            continue
        answer = api.ask(route.method, _asked(rule))
        assert (answer.status, answer.code) == (404, "not_found"), (rule.endpoint, answer.body)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff", b'{"\\u0000":1}', b'{"a":' * 5000,
        b"[" * 100_000, b'{"username":"\\ud800","password":"x"}', b"{}" + b" " * 2_000_000,
    ],
    ids=lambda raw: repr(raw[:20]),
)  # fmt: skip
def test_bodies_that_are_not_what_was_asked_for(api, rules, raw):
    for rule in rules:
        route = api.routes.by_endpoint[rule.endpoint]
        if route.body is None or RULES[route.action].device:
            continue
        answer = api.ask(route.method, _asked(rule), raw=raw)
        assert answer.status in (400, 413), (rule.endpoint, answer.status, answer.body)
        assert answer.code in ("invalid_json", "invalid_field", "body_too_large"), rule.endpoint


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def test_made_up_bodies_never_make_it_fall_over(api):
    """The right fields with any values at all: an answer below 500 each time."""
    routes = sorted(
        (r for r in api.routes.by_endpoint.values() if r.body and not RULES[r.action].device),
        key=lambda route: route.endpoint,
    )

    # Given within: pytest-twisted would run each example as a test of its own.
    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def each(data):
        route = data.draw(st.sampled_from(routes), label="route")
        fields = dict.fromkeys(route.body.__struct_fields__, _json)
        body = data.draw(st.fixed_dictionaries({}, optional=fields), label="body")
        raw = json.dumps(body).encode("utf-8", "surrogatepass")
        answer = api.ask(route.method, re.sub(r"<[^>]+>", ID, route.path), raw=raw)
        assert answer.status < 500, (route.endpoint, body, answer.body)

    each()


def test_health(api):
    assert api.ask("GET", "/api/health", who=None).body == {"status": "ok"}
