"""The agent as a Twisted service: enrolled if it must be, then at work."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from edgetainer import __version__
from edgetainer.errors import EdgetainerError
from edgetainer_agent import metrics
from edgetainer_agent.config import Settings
from edgetainer_agent.device import Device
from edgetainer_agent.enrol import Enrolment, forget_token, https_client
from edgetainer_agent.identity import Identity, IdentityStore

log = Logger()


class AgentService(Service):
    """Enrols the device if it must, then keeps it connected and as it should be.

    :param on_failure: called with the error that ends the agent: a refused
        enrolment, settings that cannot work. A lost server never does.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        settings: Settings,
        on_failure: Callable[[EdgetainerError], None],
        random: Any = None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._on_failure = on_failure
        self._random = random or SystemRandom()
        self._identities = IdentityStore(settings.state_dir)
        self._enrolment: Enrolment | None = None
        self._running: Deferred[None] | None = None
        self._device: Device | None = None

    def startService(self) -> None:
        super().startService()
        running = self._running = Deferred.fromCoroutine(self._run())
        running.addErrback(self._failed)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _run(self) -> None:
        self._identities.open()
        identity = self._identities.load()
        if identity is None:
            identity = await self._enrol()
        else:
            # Killed between saving and forgetting, the token was left behind.
            forget_token(self._settings.token_file)
        if not self.running:
            return
        log.info("This is device {device}", device=identity.device_id)
        self._device = Device(
            reactor=self._reactor,
            settings=self._settings,
            identity=identity,
            random=self._random,
        )
        self._device.start()

    async def _enrol(self) -> Identity:
        settings = self._settings
        self._enrolment = Enrolment(
            clock=self._reactor,
            http=https_client(self._reactor, settings.ca_file),
            store=self._identities,
            server_url=settings.server_url,
            facts={
                "hostname": settings.name,
                "agent_version": __version__,
                "os_version": metrics.os_version(),
                "hardware_info": metrics.hardware_info(),
            },
            token=settings.token,
            token_file=settings.token_file,
            random=self._random.uniform,
        )
        try:
            return await self._enrolment.run()
        finally:
            self._enrolment = None

    async def _stop(self) -> None:
        if self._enrolment is not None:
            self._enrolment.stop()
        if self._device is not None:
            await self._device.stop()
            self._device = None
        self._identities.close()

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError):
            return
        error = failure.value
        if not isinstance(error, EdgetainerError):
            log.failure("The agent cannot run", failure)
            error = EdgetainerError("internal", f"The agent cannot run: {error}")
        self._on_failure(error)
