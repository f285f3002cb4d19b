"""The results' file: what is kept, what is replaced, what is still to be done."""

from __future__ import annotations

import json
from pathlib import Path

from bench import results


def key(profile: str, stack: str, run: int) -> results.Row:
    return {"profile": profile, "stack": stack, "run": run}


def test_a_file_is_a_list_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tunnel.json"
    assert results.load(path) == []

    results.save(path, [key("clean", "ours", 1), key("clean", "ours", 2)])

    assert json.loads(path.read_text()) == results.load(path)
    assert results.load(path) == [key("clean", "ours", 1), key("clean", "ours", 2)]
    assert [one.name for one in path.parent.iterdir()] == ["tunnel.json"]


def test_a_run_that_is_measured_again_takes_its_old_place() -> None:
    rows = [{**key("clean", "ours", 1), "goodput_mbit": 1.0}, key("geo", "ours", 1)]

    again = results.put(rows, {**key("clean", "ours", 1), "goodput_mbit": 2.0},
                        key("clean", "ours", 1))  # fmt: skip
    more = results.put(again, key("geo", "ours", 2), key("geo", "ours", 2))

    assert [row.get("goodput_mbit") for row in more] == [2.0, None, None]
    assert more[2] == key("geo", "ours", 2)


def test_a_run_that_failed_has_no_row() -> None:
    rows = [key("clean", "ours", 1), key("geo", "ours", 1)]

    assert results.without(rows, key("clean", "ours", 1)) == rows[1:]


def test_resuming_leaves_out_what_is_there() -> None:
    rows = [{**key("clean", "ours", 1), "goodput_mbit": 1.0}]
    wanted = [key("clean", "ours", 1), key("clean", "ours", 2), key("clean", "ssh-bbr", 1)]

    assert results.missing(rows, wanted) == wanted[1:]


def test_figures_have_four_digits() -> None:
    assert results.rounded({"a": 18.38054, "b": 0.0113269, "c": 3, "d": None, "e": "x"}) == {
        "a": 18.38, "b": 0.01133, "c": 3, "d": None, "e": "x"
    }  # fmt: skip


def test_the_circumstances_name_no_machine_and_no_place() -> None:
    around = results.circumstances(
        "bench.tunnel", ["--profiles", "clean geo", "--output", "/srv/somewhere.json", "--resume"]
    )

    assert around["command"] == "python -m bench.tunnel --profiles 'clean geo' --resume"
    assert set(around) == {"commit", "command", "cores", "kernel", "python"}
    assert "/" not in json.dumps(around)
