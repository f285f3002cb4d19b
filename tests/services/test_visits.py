"""Passes: what they are worth across restarts, keys and hosts.

The whole way of a visit is told in tests/gateway/test_entrance.py.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from edgetainer.errors import EdgetainerError
from edgetainer.services.visits import Visits, fingerprint, new_state
from tests.databases import result
from tests.hub.support import VIEWER, People
from tests.wall import wall

HOST = "web--kiosk.apps.example.com"


class Known:
    async def resolve(self, host: str) -> None:
        assert host == HOST


def visits(*, key: bytes = b"k" * 32, port: int = 443) -> Visits:
    clock = Clock()
    return Visits(
        exposures=Known(),
        standing=People().standing,
        key=key,
        public_port=port,
        clock=clock,
        now=wall(clock),
    )


def now(coroutine: Any) -> Any:
    return result(Deferred.fromCoroutine(coroutine))


def a_pass(it: Visits) -> str:
    state = new_state()
    url = now(it.hand_over(VIEWER, it.request_url(HOST, state, "/a?b=c")))
    asked = parse_qs(urlsplit(url).query)
    assert asked["to"] == ["/a?b=c"]
    return now(it.enter(HOST, asked["ticket"][0], ["other", state]))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "state=",
        "state=é",
        f"state={'a' * 63}",
        f"state={'A' * 64}",
        f"state={'a' * 8000}",
        f"state={'a' * 64}&state={'a' * 64}",
        f"state={'a' * 64}&to=/&to=/b",
    ],
)
def test_only_what_the_gateway_asks_for_gets_a_ticket(query: str) -> None:
    it = visits()
    with pytest.raises(EdgetainerError) as refused:
        now(it.hand_over(VIEWER, it.url(HOST, f"/.edgetainer/enter?{quote(query, safe='=&/')}")))
    assert (refused.value.code, refused.value.field) == ("invalid_field", "to")


def test_a_pass_outlives_a_restart_of_the_server() -> None:
    text = a_pass(visits())
    assert now(visits().visitor(HOST, ["bad", text])) == VIEWER


def test_a_pass_of_another_key_is_none() -> None:
    assert now(visits(key=b"x" * 32).visitor(HOST, [a_pass(visits())])) is None


@pytest.mark.parametrize(
    ("port", "url"), [(443, f"https://{HOST}/x"), (8443, f"https://{HOST}:8443/x")]
)
def test_addresses_name_the_port_where_it_is_not_https_own(port: int, url: str) -> None:
    assert visits(port=port).url(HOST, "/x") == url


def test_states_are_unguessable_and_their_fingerprints_tell_nothing() -> None:
    states = {new_state() for _ in range(100)}
    assert len(states) == 100
    assert all(len(state) == 43 for state in states)
    assert len({fingerprint(state) for state in states}) == 100
