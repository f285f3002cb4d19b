"""`tests.run` judges two runs of pytest as one."""

from __future__ import annotations

import pytest

from tests import run


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [([0, 0], 0), ([0, 5], 0), ([5, 0], 0), ([5, 5], 5), ([1], 1), ([5, 1], 1), ([0, -9], -9)],
)
def test_a_half_without_tests_counts_only_where_the_other_has_none(
    codes: list[int], wanted: int
) -> None:
    assert run.verdict(codes) == wanted
