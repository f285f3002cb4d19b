"""How simulated devices obey."""

from __future__ import annotations

import random

import pytest
from twisted.internet.task import Clock

from edgetainer.simulate.deployments import Deployments, Obedience
from edgetainer_agent.deploy.store import Stack, Target
from edgetainer_agent.deploy.work import Report

COMPOSE = "services:\n  web:\n    image: nginx:1\n  db:\n    image: postgres:17\n"


def stack(name: str = "shop", deployment: str = "d1", version: str = "1") -> Stack:
    return Stack(deployment, name, version, COMPOSE, ())


class Device:
    """One device's deployments on a fake clock."""

    def __init__(self, *, failing: float = 0.0, seed: int = 1) -> None:
        self.clock = Clock()
        self.said: list[Report] = []
        self.deployments = Deployments(
            clock=self.clock,
            name="sim-1",
            obedience=Obedience(failing=failing, pull_s=10),
            chance=random.Random(seed),
            on_report=self.said.append,
        )

    def want(self, revision: int, *stacks: Stack) -> None:
        self.deployments.take(Target(revision, stacks))

    @property
    def statuses(self) -> list[tuple[str, int, str]]:
        return [(report.deployment_id, report.revision, report.status) for report in self.said]


def test_a_stack_takes_a_while_and_then_runs() -> None:
    device = Device()
    device.want(1, stack())
    assert device.statuses == [("d1", 1, "updating")]
    device.clock.advance(4.9)
    assert device.deployments.documents() == []
    device.clock.advance(10.2)
    assert device.statuses[1:] == [("d1", 1, "deployed")]
    assert [one["name"] for one in device.deployments.documents()] == ["shop-web-1", "shop-db-1"]
    assert {one["image"] for one in device.deployments.documents()} == {"nginx:1", "postgres:17"}


def test_the_same_again_is_told_and_not_done_again() -> None:
    device = Device()
    device.want(1, stack())
    device.clock.advance(20)
    device.want(2, stack())
    assert device.statuses[-1] == ("d1", 2, "deployed")
    assert device.clock.getDelayedCalls() == []
    device.want(3, stack(deployment="d2"))
    assert device.statuses[-1] == ("d2", 3, "deployed")
    assert [report.deployment_id for report in device.deployments.reports] == ["d2"]


def test_a_lower_revision_is_ignored() -> None:
    device = Device()
    device.want(5, stack())
    device.want(4)
    device.clock.advance(20)
    assert device.statuses[-1] == ("d1", 5, "deployed")


def test_another_version_replaces_what_was_under_way() -> None:
    device = Device()
    device.want(1, stack())
    device.want(2, stack(version="2", deployment="d2"))
    device.clock.advance(20)
    assert device.statuses == [("d1", 1, "updating"), ("d2", 2, "updating"), ("d2", 2, "deployed")]


def test_what_is_not_wanted_any_more_ends() -> None:
    device = Device()
    device.want(1, stack())
    device.clock.advance(20)
    device.want(2)
    assert device.deployments.documents() == []
    assert device.deployments.reports == ()
    device.want(3, stack())
    device.deployments.stop()
    assert device.clock.getDelayedCalls() == []


def test_so_many_fail_as_was_asked_for() -> None:
    failed = 0
    for seed in range(200):
        device = Device(failing=0.25, seed=seed)
        device.want(1, stack())
        device.clock.advance(20)
        failed += device.statuses[-1][2] == "failed"
    assert 30 <= failed <= 70, "50 of 200 on average"


@pytest.mark.parametrize("failing", [0.0, 1.0])
def test_none_and_all_are_exact(failing: float) -> None:
    device = Device(failing=failing)
    device.want(1, stack())
    device.clock.advance(20)
    assert device.statuses[-1][2] == ("failed" if failing else "deployed")
    if failing:
        assert "simulated" in device.said[-1].detail


def test_a_file_that_cannot_be_read_fails_with_its_reason() -> None:
    device = Device()
    device.want(1, Stack("d1", "shop", "1", "services: 7", ()))
    device.clock.advance(20)
    assert device.statuses[-1][2] == "failed"
    assert device.said[-1].detail
