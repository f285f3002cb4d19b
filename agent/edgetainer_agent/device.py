"""An enrolled device at work: the one place where the agent's parts are joined."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from edgetainer import __version__
from edgetainer.errors import EdgetainerError
from edgetainer.quic.endpoint import ClientTls
from edgetainer.tunnel.carriage import Carriage
from edgetainer.tunnel.dialer import Dialer
from edgetainer.tunnel.profiles import PROFILES
from edgetainer_agent import metrics
from edgetainer_agent.config import Settings
from edgetainer_agent.deploy.compose import Compose
from edgetainer_agent.deploy.runner import Runner
from edgetainer_agent.deploy.store import DeployStore, Target
from edgetainer_agent.desired import Configuration, ConfigurationFile, Puller, heartbeat_interval
from edgetainer_agent.docker import Docker, project_prefix
from edgetainer_agent.doors import AgentDoors
from edgetainer_agent.forward import Forwarder
from edgetainer_agent.heartbeat import Heartbeat
from edgetainer_agent.identity import Identity
from edgetainer_agent.keepalive_memory import keepalive_memory
from edgetainer_agent.netlink import NetworkWatch
from edgetainer_agent.path_memory import PathModels, keep_path
from edgetainer_agent.reports import Reporter
from edgetainer_agent.ways import ServerWays

log = Logger()

#: Seconds between heartbeats if neither settings nor server say.
HEARTBEAT_S = 60.0
#: In the state folder: which doors the server opened last, and how often to beat.
CONFIGURATION_FILE = "configuration.json"
#: In the state folder: how long each network lets the device be silent.
KEEPALIVE_FILE = "keepalive.json"
#: In the state folder: what the way to the server was like from each network.
PATHS_FILE = "paths.json"


class Device:
    """An enrolled device at work: everything that needs an identity."""

    def __init__(
        self, *, reactor: Any, settings: Settings, identity: Identity, random: Any
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._profile = PROFILES[settings.link_profile]
        self._configured_s: float | None = None
        self._configuration_file = ConfigurationFile(settings.state_dir / CONFIGURATION_FILE)
        self.docker = Docker(
            reactor=reactor,
            socket=settings.docker_socket,
            prefix=project_prefix(identity.device_id),
        )
        self.doors = AgentDoors(
            reactor=reactor,
            docker=self.docker,
            forwarder=Forwarder(reactor=reactor, docker=self.docker),
            limits={
                "tcp": settings.forwards_max,
                "terminal": settings.terminals_max,
                "exec": settings.commands_max,
            },
            shell=settings.shell,
        )
        tls = ClientTls(
            certificate_authorities=identity.authorities,
            server_name=identity.server_name,
            certificate_chain=identity.certificate,
            private_key=identity.private_key,
        )
        ways = ServerWays(reactor, server_url=settings.server_url, ca_file=settings.ca_file)
        paths = PathModels(settings.state_dir / PATHS_FILE)
        self.carriage = Carriage(
            reactor=reactor, ways=ways, profile=self._profile, rtt_guess=paths.rtt_guess
        )
        keepalives = keepalive_memory(settings.state_dir / KEEPALIVE_FILE)
        self.dialer = Dialer(
            reactor=reactor,
            connect=self.carriage.connect,
            addresses=identity.tunnel_addresses,
            tls=lambda: tls,
            doors=self.doors,
            hello=self._hello,
            on_connected=self._connected,
            on_disconnected=self._disconnected,
            on_doorbell=lambda _: self.puller.pull(),
            on_failure=self._unreachable,
            random=random,
            profile=self._profile,
            recall=keepalives.recall,
            remember=keepalives.remember,
            on_connection=partial(keep_path, reactor, paths),
        )
        self.network = NetworkWatch(reactor=reactor, changed=self._network_changed)
        self.puller = Puller(
            clock=reactor,
            request=self.dialer.request,
            on_configuration=self._configured,
            on_target=self._targeted,
            random=random.uniform,
        )
        self.heartbeat = Heartbeat(
            clock=reactor,
            request=self.dialer.request,
            collect=self._collect,
            on_revision=self._heard,
            random=random.uniform,
            sparing=(lambda: self.dialer.keepalive_s) if self._profile.learns else None,
        )
        self.reporter = Reporter(
            clock=reactor,
            request=self.dialer.request,
            containers=self._containers,
            random=random.uniform,
        )
        self.runner = Runner(
            clock=reactor,
            store=DeployStore(settings.state_dir / "deploy"),
            compose=Compose(reactor=reactor, socket=settings.docker_socket),
            docker=self.docker,
            on_report=self.reporter.add,
            wait_s=settings.compose_wait_s,
        )
        self._poll = LoopingCall(self._look)
        self._poll.clock = reactor

    def start(self) -> None:
        """Run the last target at once, connected or not, and dial."""
        last = self._configuration_file.load()
        if last is not None:
            self._apply(last)
        self.docker.start()
        self.runner.start()
        self.dialer.start()
        self.network.start()
        self._poll.start(self._settings.poll_s, now=False)

    async def stop(self) -> None:
        """End everything; containers run on."""
        self.network.stop()
        if self._poll.running:
            self._poll.stop()
        self.puller.stop()
        self.heartbeat.stop()
        self.reporter.disconnected()
        await self.dialer.stop()
        await self.runner.stop()
        await deferToThread(self.docker.stop)

    def _hello(self) -> dict[str, Any]:
        return {
            "agent_version": __version__,
            "name": self._settings.name,
            "revision": max(0, self.runner.revision),
        }

    def _connected(self, hello: dict[str, Any]) -> None:
        with contextlib.suppress(TypeError, ValueError):
            self._configured_s = heartbeat_interval(hello.get("heartbeat_s"))
        self.puller.pull()
        self.heartbeat.start(self._interval())
        self.reporter.connected(self.runner.reports)

    def _disconnected(self, error: EdgetainerError) -> None:
        self.puller.stop()
        self.heartbeat.stop()
        self.reporter.disconnected()

    def _unreachable(self, error: EdgetainerError) -> None:
        if error.code == "certificate_refused":
            log.error(
                "The server does not accept this device's certificate. If it was revoked, remove "
                "{folder} and give the device a new token.",
                folder=str(self._settings.state_dir),
            )

    def _network_changed(self) -> None:
        if self.dialer.network_changed():
            self.carriage.network_changed()

    def _heard(self, revision: int) -> None:
        # A ring that was lost: the answer to a heartbeat names the revision too.
        if revision != self.runner.revision:
            self.puller.pull()

    def _configured(self, configuration: Configuration) -> None:
        self._apply(configuration)
        self._configuration_file.save(configuration)
        if self.dialer.connected:
            self.heartbeat.start(self._interval())

    def _apply(self, configuration: Configuration) -> None:
        self.doors.expose(configuration.doors)
        self._configured_s = configuration.heartbeat_s

    def _targeted(self, target: Target) -> None:
        self.runner.take(target)

    def _look(self) -> None:
        self.runner.reconcile()
        if self.dialer.connected and self._profile.polls:
            self.puller.pull()

    def _interval(self) -> float:
        wanted = self._settings.heartbeat_s or self._profile.heartbeat_s
        return wanted or self._configured_s or HEARTBEAT_S

    async def _collect(self) -> dict[str, Any]:
        figures, os_version, hardware = await deferToThread(
            lambda: (metrics.metrics(), metrics.os_version(), metrics.hardware_info())
        )
        return {
            "metrics": figures,
            "containers": await self._containers(),
            "agent_version": __version__,
            "os_version": os_version,
            "hardware_info": hardware,
            "revision": max(0, self.runner.revision),
        }

    async def _containers(self) -> list[dict[str, Any]] | None:
        try:
            return [container.document() for container in await self.docker.containers()]
        except EdgetainerError as error:
            # Not "there are none": the engine may be away for a moment.
            log.debug("No containers to report: {why}", why=error)
            return None
