"""What counts as a container that is up, and what as a job that did its work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgetainer_agent.container import Container
from edgetainer_agent.deploy.work import problem

RUNNING = Container(
    id="abc", name="et-1-shop-web-1", stack="shop", service="web", number=1, image="x",
    state="running", health=None, exit_code=None, ports=(), started_at="",
    network_mode="et-1-shop_default", addresses=("172.18.0.2",),
)  # fmt: skip
ENDED = replace(RUNNING, state="exited", exit_code=0)


@pytest.mark.parametrize(
    ("container", "up"),
    [
        (RUNNING, True),
        (replace(RUNNING, health="healthy"), True),
        (replace(RUNNING, health="starting"), False),
        (replace(RUNNING, health="unhealthy"), False),
        (ENDED, True),
        (replace(ENDED, exit_code=1), False),
        (replace(ENDED, stays=True), False),
        (replace(RUNNING, state="restarting"), False),
        (replace(RUNNING, state="paused"), False),
    ],
)
def test_problem(container: Container, up: bool) -> None:
    assert (problem(container) is None) is up
