from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from edgetainer.errors import EdgetainerError
from edgetainer_agent.deploy.store import Target
from edgetainer_agent.desired import (
    CONFIG_PATH,
    SOFTWARE_PATH,
    Configuration,
    ConfigurationFile,
    Puller,
)
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
        {**CONFIG, "heartbeat_s": "20"},
        {**CONFIG, "heartbeat_s": True},
        {**CONFIG, "heartbeat_s": float("nan")},
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


@pytest.mark.parametrize(
    ("said", "taken"), [(0, 1), (-5, 1), (20, 20), (float("inf"), 86_400), (10**400, 86_400)]
)
def test_the_interval_of_heartbeats_is_kept_within_reason(said: Any, taken: float) -> None:
    assert Configuration.parse({**CONFIG, "heartbeat_s": said}).heartbeat_s == taken


def test_the_last_configuration_is_kept_for_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "configuration.json"
    assert ConfigurationFile(path).load() is None
    configuration = Configuration.parse(CONFIG)
    ConfigurationFile(path).save(configuration)
    kept = ConfigurationFile(path)
    assert kept.load() == configuration
    assert path.stat().st_mode & 0o077 == 0
    # The same again costs no writing.
    before = path.stat().st_ino
    kept.save(configuration)
    assert path.stat().st_ino == before
    path.write_bytes(b"{}")
    assert ConfigurationFile(path).load() is None


def test_a_full_disk_costs_only_the_copy(tmp_path: Path) -> None:
    file = ConfigurationFile(tmp_path / "missing" / "configuration.json")
    file.save(Configuration.parse(CONFIG))
    (tmp_path / "missing").mkdir()
    file.save(Configuration.parse(CONFIG))
    assert file.load() is not None
