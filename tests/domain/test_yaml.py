from __future__ import annotations

import pytest

from edgetainer.domain import yaml
from edgetainer.errors import EdgetainerError


def read(text: str) -> object:
    return yaml.read(text, code="compose_invalid", field="compose")


def refusal(text: str) -> str:
    with pytest.raises(EdgetainerError) as caught:
        read(text)
    assert caught.value.code == "compose_invalid"
    assert caught.value.field == "compose"
    return caught.value.detail


def test_plain_scalars_resolve_as_docker_compose_resolves_them() -> None:
    document = read("[1, -2, 0x1f, 1.5, true, False, null, ~, yes, 22:22, '3', 2001-01-01, '<<']")
    expected = [1, -2, 31, 1.5, True, False, None, None, "yes", "22:22", "3", "2001-01-01", "<<"]
    assert document == expected


def test_merges_fill_in_what_the_mapping_does_not_say() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 3\n"
    assert read(text)["z"] == {"a": 3, "b": 1, "c": 2}  # type: ignore[index]


def test_aliases_share_values() -> None:
    assert read("a: &a [1, 2]\nb: *a\n") == {"a": [1, 2], "b": [1, 2]}


def test_aliases_that_expand_without_end_are_refused() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for above, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{above}'] * 9)}]")
    assert "aliases expand to more than 20000" in refusal("\n".join(lines))


def test_a_value_that_contains_itself_is_refused() -> None:
    assert refusal("a: &a [*a]") == "a[0] contains itself."
    assert refusal("a: &a {b: *a}") == "a.b contains itself."


def test_aliases_cannot_nest_deeper_than_the_text_may() -> None:
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 40))]
    assert "nested deeper than 32" in refusal("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "Line 1: nested deeper than 32"),
        ("".join(" " * n + "a:\n" for n in range(400)), "Line 33: nested deeper than 32"),
        ("a: [" + "1," * 50_000 + "]", "more than 20000 values"),
        ("a: 1\na: 2", "Line 2: a is given twice"),
        ("a: {b: 1, b: 1}", "a.b is given twice"),
        ("a: 1\n---\nb: 2", "Line 2: a second document"),
        ("a: !!python/object/apply:os.system [id]", "is not accepted"),
        ("a: !reset null", "the tag '!reset' is not accepted"),
        ("a: !!str 5", "is not accepted"),
        ("a: [", "Line 2, column 1: "),
        ("a: *nowhere", "undefined alias"),
        ("a: \x00", "not YAML"),
        ("a: \ud800", "not valid Unicode"),
        ("? [a]\n: 1", "a key under the top is not text"),
        ("a: {? {b: 1} : 1}", "a key under a is not text"),
        ("a: {<<: [1]}", "a.<<: only mappings can be merged"),
        ("", "empty"),
        ("# only words", "empty"),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_its_place(text: str, said: str) -> None:
    assert said in refusal(text)


def test_the_size_is_bounded_in_bytes() -> None:
    fits = "a: " + "x" * (yaml.MAX_BYTES - 3)
    assert read(fits) == {"a": "x" * (yaml.MAX_BYTES - 3)}
    assert f"at most {yaml.MAX_BYTES}" in refusal(fits + "x")
    assert f"at most {yaml.MAX_BYTES}" in refusal("é" * (yaml.MAX_BYTES // 2 + 1))
