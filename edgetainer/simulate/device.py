"""One simulated device: the agent's way of talking, with a made-up machine behind it."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred

from edgetainer import __version__
from edgetainer.errors import EdgetainerError
from edgetainer.quic.endpoint import ClientTls
from edgetainer.quic.requests import Response
from edgetainer.simulate.deployments import Deployments, Obedience
from edgetainer.simulate.doors import SimulatedDoors
from edgetainer.simulate.figures import Figures
from edgetainer.simulate.link import Link
from edgetainer.tunnel.dialer import Dialer
from edgetainer.tunnel.profiles import STANDARD, LinkProfile
from edgetainer_agent.deploy.work import Report
from edgetainer_agent.desired import Configuration, Puller, heartbeat_interval
from edgetainer_agent.heartbeat import Heartbeat
from edgetainer_agent.identity import Identity
from edgetainer_agent.reports import Reporter

#: Seconds between heartbeats if neither the options nor the server say.
HEARTBEAT_S = 60.0
#: Bytes of a small computer.
_MEMORY, _DISK = 4 << 30, 32 << 30
FACTS: dict[str, Any] = {
    "agent_version": f"{__version__} (simulated)",
    "os_version": "Simulated Linux",
    "hardware_info": {
        "architecture": "x86_64",
        "cpu_count": 4,
        "memory_total": _MEMORY,
        "kernel": "simulated",
        "model": "edgetainer-simulate",
    },
}


class SimulatedDevice:
    """An enrolled device from `start` to `stop`.

    :param heartbeat_s: seconds between heartbeats; None: as profile and server say.
    :param link: None: its link is never cut.
    :param chance: its own, so that a seed repeats its story.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        name: str,
        identity: Identity,
        obedience: Obedience,
        figures: Figures,
        chance: random.Random,
        profile: LinkProfile = STANDARD,
        heartbeat_s: float | None = None,
        link: Link | None = None,
    ) -> None:
        self.name = name
        self.device_id = identity.device_id
        self._reactor = reactor
        self._figures = figures
        self._chance = chance
        self._heartbeat_s = heartbeat_s or profile.heartbeat_s
        self._configured_s: float | None = None
        self._link = link
        self._started_at = reactor.seconds()
        self.doors = SimulatedDoors(clock=reactor, name=name)
        tls = ClientTls(
            certificate_authorities=identity.authorities,
            server_name=identity.server_name,
            certificate_chain=identity.certificate,
            private_key=identity.private_key,
        )
        self.dialer = Dialer(
            reactor=reactor,
            addresses=identity.tunnel_addresses,
            tls=lambda: tls,
            doors=self.doors,
            hello=self._hello,
            on_connected=self._connected,
            on_disconnected=self._disconnected,
            on_doorbell=lambda _: self.puller.pull(),
            on_failure=self._failed,
            random=chance,
            profile=profile,
            connect=None if link is None else link.connect,
        )
        self.deployments = Deployments(
            clock=reactor,
            name=name,
            obedience=obedience,
            chance=chance,
            on_report=self._reported,
        )
        self.puller = Puller(
            clock=reactor,
            request=self.dialer.request,
            on_configuration=self._configured,
            on_target=self.deployments.take,
            random=chance.uniform,
        )
        self.heartbeat = Heartbeat(
            clock=reactor,
            request=self._request,
            collect=self._collect,
            on_revision=self._heard,
            random=chance.uniform,
            sparing=(lambda: self.dialer.keepalive_s) if profile.learns else None,
        )
        self.reporter = Reporter(
            clock=reactor,
            request=self.dialer.request,
            containers=self._containers,
            random=chance.uniform,
        )

    @property
    def connected(self) -> bool:
        """Whether it has a session."""
        return self.dialer.connected

    @property
    def cuts(self) -> int:
        """How often its link was cut."""
        return 0 if self._link is None else self._link.cuts

    def start(self) -> None:
        """Dial, and stay connected."""
        if self._link is not None:
            self._link.start()
        self.dialer.start()

    async def stop(self) -> None:
        """End the session and everything else."""
        if self._link is not None:
            self._link.stop()
        self._quiet()
        self.deployments.stop()
        await self.dialer.stop()

    def _hello(self) -> dict[str, Any]:
        return {
            "agent_version": FACTS["agent_version"],
            "name": self.name,
            "revision": max(0, self.deployments.revision),
        }

    def _connected(self, hello: dict[str, Any]) -> None:
        self._figures.counts["connected"] += 1
        try:
            self._configured_s = heartbeat_interval(hello.get("heartbeat_s"))
        except (TypeError, ValueError):
            self._configured_s = None
        self.puller.pull()
        self.heartbeat.start(self._interval())
        self.reporter.connected(self.deployments.reports)

    def _disconnected(self, error: EdgetainerError) -> None:
        self._figures.counts["disconnected"] += 1
        self._quiet()

    def _quiet(self) -> None:
        self.puller.stop()
        self.heartbeat.stop()
        self.reporter.disconnected()

    def _failed(self, error: EdgetainerError) -> None:
        self._figures.counts["failed_rounds"] += 1

    def _heard(self, revision: int) -> None:
        # A ring that was lost: the answer to a heartbeat names the revision too.
        if revision != self.deployments.revision:
            self.puller.pull()

    def _configured(self, configuration: Configuration) -> None:
        self.doors.expose(configuration.doors)
        self._configured_s = configuration.heartbeat_s
        if self.connected:
            self.heartbeat.start(self._interval())

    def _reported(self, report: Report) -> None:
        status = "failed_deployments" if report.status == "failed" else report.status
        self._figures.counts[status] += 1
        self.reporter.add(report)

    def _interval(self) -> float:
        return self._heartbeat_s or self._configured_s or HEARTBEAT_S

    def _request(self, method: str, path: str, **options: Any) -> Deferred[Response]:
        asked_at = self._reactor.seconds()

        def answered(answer: Response) -> Response:
            now = self._reactor.seconds()
            if answer.status == 200:
                self._figures.answered(now, now - asked_at)
            else:
                self._figures.counts["refused_heartbeats"] += 1
            return answer

        return self.dialer.request(method, path, **options).addCallback(answered)

    async def _collect(self) -> dict[str, Any]:
        uniform = self._chance.uniform
        return {
            "metrics": {
                "cpu_percent": round(uniform(1, 60), 1),
                "memory_used": int(_MEMORY * uniform(0.2, 0.8)),
                "memory_total": _MEMORY,
                "disk_used": int(_DISK * 0.4),
                "disk_total": _DISK,
                "uptime_s": int(self._reactor.seconds() - self._started_at),
                "load1": round(uniform(0, 4), 2),
            },
            "containers": await self._containers(),
            **FACTS,
            "revision": max(0, self.deployments.revision),
        }

    async def _containers(self) -> list[dict[str, Any]]:
        return self.deployments.documents()
