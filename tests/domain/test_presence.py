from __future__ import annotations

import pytest

from edgetainer.domain.presence import status


@pytest.mark.parametrize(
    ("online", "ever_seen", "deployments", "expected"),
    [
        (False, False, [], "pending"),
        (False, True, [], "offline"),
        (False, True, ["failed", "updating"], "offline"),
        (True, False, [], "online"),
        (True, True, ["deployed", "pending"], "online"),
        (True, True, ["deployed", "failed"], "error"),
        (True, True, ["failed", "updating"], "updating"),
    ],
)
def test_status(online, ever_seen, deployments, expected):
    assert status(online=online, ever_seen=ever_seen, deployments=deployments) == expected
