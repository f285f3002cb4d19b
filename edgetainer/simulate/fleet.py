"""Many simulated devices in one process: enrolled once, brought up, watched, stopped."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer.simulate.deployments import Obedience
from edgetainer.simulate.device import FACTS, SimulatedDevice
from edgetainer.simulate.figures import Figures
from edgetainer.simulate.identities import Identities
from edgetainer.simulate.link import Link
from edgetainer.tunnel.profiles import STANDARD, LinkProfile
from edgetainer_agent.enrol import Enrolment
from edgetainer_agent.identity import Identity

log = Logger()

#: Devices that enrol at the same time: each is one transaction of the server.
ENROLLING = 8


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the devices are to be like.

    :param devices: how many.
    :param server_url: the console's address, asked only to enrol.
    :param token: an enrolment token with a use for each device that is not enrolled.
    :param prefix: of the devices' names.
    :param start_per_s: devices that begin to dial in a second.
    :param profile: what the devices' links are like.
    :param heartbeat_s: seconds between heartbeats; None: as profile and server say.
    :param cut_every_s: mean seconds between cuts of each device's link; None: never.
    :param cut_for_s: mean seconds of a cut.
    :param seed: repeats every choice that is left to chance.
    """

    state_dir: Path
    devices: int
    server_url: str
    token: str | None = field(default=None, repr=False)
    prefix: str = "sim"
    start_per_s: float = 100.0
    profile: LinkProfile = STANDARD
    heartbeat_s: float | None = None
    obedience: Obedience = field(default_factory=Obedience)
    cut_every_s: float | None = None
    cut_for_s: float = 20.0
    seed: int = 1


class SimulatedFleet:
    """All devices of one process.

    :param http: for enrolment; see `edgetainer_agent.enrol.https_client`.
    """

    def __init__(self, *, reactor: Any, options: Options, http: HTTPClient) -> None:
        self._reactor = reactor
        self._options = options
        self._http = http
        self._identities = Identities(options.state_dir)
        self._enrolments: set[Enrolment] = set()
        self._pause: Deferred[None] | None = None
        self._stopped = False
        self.figures = Figures()
        self.devices: list[SimulatedDevice] = []

    @property
    def connected(self) -> int:
        """Devices that have a session."""
        return sum(device.connected for device in self.devices)

    @property
    def names(self) -> list[str]:
        """The names of all devices, enrolled or not."""
        width = max(4, len(str(self._options.devices)))
        return [
            f"{self._options.prefix}-{number:0{width}}"
            for number in range(1, self._options.devices + 1)
        ]

    async def start(self) -> None:
        """Enrol those that are not enrolled, and start all; fires when all have begun.

        :raises EdgetainerError: the server refuses a device, or the folder is damaged.
        """
        enrolling = DeferredSemaphore(ENROLLING)
        waiting = []
        for name in self.names:
            identity = self._identities.device(name).load()
            if identity is None:
                waiting.append(enrolling.run(self._enrol, name))
            elif not self._stopped:
                self._begin(name, identity)
                await self._breathe()
        results: Any = await DeferredList(waiting, fireOnOneErrback=False, consumeErrors=True)
        for succeeded, failure in results:
            if not succeeded and not failure.check(CancelledError):
                failure.raiseException()

    async def stop(self) -> None:
        """Say goodbye to the server with every device."""
        self._stopped = True
        if self._pause is not None:
            self._pause.cancel()
        for enrolment in list(self._enrolments):
            enrolment.stop()
        stopping = [Deferred.fromCoroutine(device.stop()) for device in self.devices]
        await DeferredList(stopping, consumeErrors=True)
        self._identities.close()

    def document(self) -> dict[str, Any]:
        """How things stand, as JSON."""
        cuts = sum(device.cuts for device in self.devices)
        return {
            "devices": self._options.devices,
            "enrolled": len(self.devices),
            "online": self.connected,
            "cuts": cuts,
            **self.figures.document(),
        }

    def _enrol(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._enrolled(name))

    async def _enrolled(self, name: str) -> None:
        if self._stopped:
            raise CancelledError()
        enrolment = Enrolment(
            clock=self._reactor,
            http=self._http,
            store=self._identities.device(name),
            server_url=self._options.server_url,
            facts={"hostname": name, **FACTS},
            token=self._options.token,
            token_file=None,
            random=self._chance(name, "enrol").uniform,
        )
        self._enrolments.add(enrolment)
        try:
            identity = await enrolment.run()
        except EdgetainerError:
            # One refusal is everybody's: there is one token.
            for other in list(self._enrolments - {enrolment}):
                other.stop()
            self._stopped = True
            raise
        finally:
            self._enrolments.discard(enrolment)
        if not self._stopped:
            self._begin(name, identity)

    def _begin(self, name: str, identity: Identity) -> None:
        options = self._options
        link = None
        if options.cut_every_s is not None:
            link = Link(
                reactor=self._reactor,
                every_s=options.cut_every_s,
                away_s=options.cut_for_s,
                chance=self._chance(name, "link"),
            )
        device = SimulatedDevice(
            reactor=self._reactor,
            name=name,
            identity=identity,
            obedience=options.obedience,
            figures=self.figures,
            chance=self._chance(name, "device"),
            profile=options.profile,
            heartbeat_s=options.heartbeat_s,
            link=link,
        )
        self.devices.append(device)
        device.start()

    def _chance(self, name: str, purpose: str) -> random.Random:
        # Streams of their own, so that one device's story does not depend on
        # the order in which the network lets the others speak.
        return random.Random(f"{self._options.seed}/{name}/{purpose}")  # noqa: S311

    async def _breathe(self) -> None:
        self._pause = deferLater(self._reactor, 1 / self._options.start_per_s)
        try:
            await self._pause
        finally:
            self._pause = None
