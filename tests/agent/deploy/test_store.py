from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from edgetainer.errors import EdgetainerError
from edgetainer_agent.deploy.store import DeployStore, Record, Stack, Target, quote

STACK = {
    "deployment_id": "d-1",
    "name": "shop",
    "version": "1",
    "compose": "services: {}",
    "env": {"B": "2", "A": "1"},
}


def parsed(**change: Any) -> Stack:
    return Stack.parse({**STACK, **change}, "stacks[0]")


def test_targets_survive_and_stay_private(tmp_path: Path) -> None:
    store = DeployStore(tmp_path / "deploy")
    store.open()
    assert store.load_target() is None
    target = Target.parse({"revision": 7, "stacks": [STACK]})
    store.save_target(target)
    assert store.load_target() == target
    file = tmp_path / "deploy" / "target.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("{")
    assert store.load_target() is None


def test_equal_digests_mean_equal_runs() -> None:
    same = parsed(env={"A": "1", "B": "2"}, deployment_id="another")
    assert same.digest == parsed().digest
    for change in ({"version": "2"}, {"compose": "x"}, {"env": {}}, {"env": {"A": "1", "B": "3"}}):
        assert parsed(**change).digest != parsed().digest


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "target"),
        ({"stacks": []}, "revision"),
        ({"revision": True, "stacks": []}, "revision"),
        ({"revision": 1, "stacks": {}}, "stacks"),
        ({"revision": 1, "stacks": [3]}, "stacks[0]"),
        ({"revision": 1, "stacks": [{**STACK, "name": "../etc"}]}, "stacks[0].name"),
        ({"revision": 1, "stacks": [{**STACK, "name": "Shop"}]}, "stacks[0].name"),
        ({"revision": 1, "stacks": [{**STACK, "compose": None}]}, "stacks[0].compose"),
        ({"revision": 1, "stacks": [{**STACK, "compose": "x" * 2**21}]}, "stacks[0].compose"),
        ({"revision": 1, "stacks": [{**STACK, "env": {"A B": "x"}}]}, "stacks[0].env"),
        ({"revision": 1, "stacks": [{**STACK, "env": {"A": 1}}]}, "stacks[0].env"),
        ({"revision": 1, "stacks": [STACK, STACK]}, "stacks"),
        ({"revision": 1, "stacks": [STACK] * 65}, "stacks"),
    ],
)
def test_a_wrong_target_is_refused_whole(document: Any, field: str) -> None:
    with pytest.raises(EdgetainerError) as caught:
        Target.parse(document)
    assert (caught.value.code, caught.value.field) == ("protocol_violation", field)


def test_releases_lie_side_by_side_until_one_is_dropped(tmp_path: Path) -> None:
    store = DeployStore(tmp_path)
    store.open()
    old, new = store.write_release(parsed()), store.write_release(parsed(version="2"))
    assert old.home == new.home
    assert old.compose.read_text() == new.compose.read_text() == "services: {}"
    assert new.environment.read_text() == 'A="1"\nB="2"\n'
    (old.home / "data").mkdir()
    store.drop_other_releases(parsed(version="2"))
    assert not old.compose.exists()
    assert new.compose.exists()
    assert (old.home / "data").exists()
    assert store.known() == {"shop"}
    store.forget("shop")
    store.forget("shop")
    assert store.known() == frozenset()


def test_records_survive_and_damage_counts_as_unknown(tmp_path: Path) -> None:
    store = DeployStore(tmp_path)
    store.open()
    assert store.record("shop") is None
    record = Record("abc", applied=True, services=("db", "web"))
    store.write_record("shop", record)
    assert store.record("shop") == record
    for damage in ("", "[]", json.dumps({"digest": "abc"})):
        (tmp_path / "stacks" / "shop" / "record.json").write_text(damage)
        assert store.record("shop") is None


def test_quoting_keeps_lines_together() -> None:
    assert quote('a"b$c\\d\ne') == '"a\\"b\\$c\\\\d\\ne"'
