from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from edgetainer_agent.deploy.work import Report
from edgetainer_agent.reports import STATUS_PATH, Reporter
from tests.agent.answers import Answers


class Office:
    def __init__(self) -> None:
        self.clock = Clock()
        self.server = Answers()
        self.reporter = Reporter(
            clock=self.clock,
            request=self.server.request,
            containers=self.containers,
            random=lambda low, high: high,
        )

    async def containers(self) -> list[dict[str, Any]]:
        return [{"id": "abc"}]


def report(status: str, deployment_id: str = "d-1") -> Report:
    return Report(deployment_id, 3, status, "")


def statuses(asked: Any) -> list[str]:
    return [one["status"] for one in asked.json["deployments"]]


def test_keeps_the_newest_until_there_is_a_connection() -> None:
    office = Office()
    office.reporter.add(report("updating"))
    office.reporter.add(report("failed"))
    assert office.server.asked == []
    office.reporter.connected([report("deployed", "d-2")])
    asked = office.server.give(STATUS_PATH, {"revision": 3})
    assert statuses(asked) == ["failed", "deployed"]
    assert asked.json["containers"] == [{"id": "abc"}]
    assert office.reporter.waiting == ()


def test_what_changed_meanwhile_follows() -> None:
    office = Office()
    office.reporter.connected([])
    assert office.server.asked == []
    office.reporter.add(report("updating"))
    office.reporter.add(report("deployed"))
    assert statuses(office.server.give(STATUS_PATH, {})) == ["updating"]
    assert statuses(office.server.give(STATUS_PATH, {})) == ["deployed"]
    assert office.server.asked == []


def test_an_overloaded_server_is_told_again_and_a_refusal_is_final() -> None:
    for status, again in ((500, True), (429, True), (400, False)):
        office = Office()
        office.reporter.connected([report("deployed")])
        office.server.give(STATUS_PATH, {}, status=status)
        office.clock.advance(30)
        assert bool(office.server.asked) is again
        assert bool(office.reporter.waiting) is again


def test_a_lost_connection_loses_no_report() -> None:
    office = Office()
    office.reporter.connected([report("deployed")])
    office.server.take(STATUS_PATH)
    office.reporter.disconnected()
    office.clock.advance(1_000)
    assert office.server.asked == []
    office.reporter.connected([])
    assert statuses(office.server.give(STATUS_PATH, {})) == ["deployed"]
