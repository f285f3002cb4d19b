from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from edgetainer.errors import EdgetainerError
from edgetainer_agent.deploy.store import Target
from edgetainer_agent.desired import CONFIG_PATH, SOFTWARE_PATH, Configuration, Puller
from tests.agent.answers import Answers

CONFIG = {"revision": 3, "heartbeat_s": 20, "doors": [{"service": "web", "port": 8080}]}
SOFTWARE: dict[str, Any] = {"revision": 3, "stacks": []}


class Pull:
    def __init__(self) -> None:
        self.clock = Clock()
        self.server = Answers()
        self.configurations: list[Configuration] = []
        self.targets: list[Target] = []
        self.puller = Puller(
            clock=self.clock,
            request=self.server.request,
            on_configuration=self.configurations.append,
            on_target=self.targets.append,
            random=lambda low, high: high,
        )


def test_takes_both_and_asks_with_their_tags_from_then_on() -> None:
    pull = Pull()
    pull.puller.pull()
    assert pull.server.give(CONFIG_PATH, CONFIG, etag=b'"c1"').headers == {}
    assert pull.server.give(SOFTWARE_PATH, SOFTWARE, etag=b'"s1"').headers == {}
    assert pull.configurations == [Configuration(3, 20.0, frozenset({("web", 8080)}))]
    assert pull.targets == [Target(3, ())]
    pull.puller.pull()
    asked = pull.server.give(CONFIG_PATH, b"", status=304)
    assert asked.headers == {b"if-none-match": b'"c1"'}
    pull.server.give(SOFTWARE_PATH, {**SOFTWARE, "revision": 4}, etag=b'"s2"')
    assert [target.revision for target in pull.targets] == [3, 4]
    assert len(pull.configurations) == 1


def test_a_ring_during_a_look_brings_another_look() -> None:
    pull = Pull()
    pull.puller.pull()
    pull.puller.pull()
    pull.server.give(CONFIG_PATH, CONFIG)
    pull.server.give(SOFTWARE_PATH, SOFTWARE)
    pull.server.give(CONFIG_PATH, CONFIG)
    pull.server.give(SOFTWARE_PATH, SOFTWARE)
    assert pull.server.asked == []


@pytest.mark.parametrize(
    ("status", "document"),
    [(500, {}), (200, b"{"), (200, {"revision": 3}), (200, {**SOFTWARE, "stacks": [{}]})],
)
def test_what_cannot_be_taken_is_asked_for_again(status: int, document: Any) -> None:
    pull = Pull()
    pull.puller.pull()
    pull.server.give(CONFIG_PATH, CONFIG)
    pull.server.give(SOFTWARE_PATH, document, status=status, etag=b'"bad"')
    assert pull.targets == []
    pull.clock.advance(30)
    pull.server.give(CONFIG_PATH, CONFIG)
    assert pull.server.give(SOFTWARE_PATH, SOFTWARE).headers == {}
    assert len(pull.targets) == 1


def test_stops_with_the_connection() -> None:
    pull = Pull()
    pull.puller.pull()
    pull.puller.stop()
    pull.clock.advance(1_000)
    assert len(pull.server.asked) == 1


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {**CONFIG, "revision": "3"},
        {**CONFIG, "heartbeat_s": "x"},
        {**CONFIG, "doors": None},
        {**CONFIG, "doors": [{"service": 1, "port": 1}]},
        {**CONFIG, "doors": [{"service": "web", "port": True}]},
        {**CONFIG, "doors": CONFIG["doors"] * 1_001},  # type: ignore[operator]
    ],
)
def test_a_wrong_configuration_is_refused(document: Any) -> None:
    with pytest.raises(EdgetainerError) as caught:
        Configuration.parse(document)
    assert caught.value.code == "protocol_violation"
