"""What the server may open on this device: the one place that decides it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import ExecTarget, Target, TcpTarget, TerminalTarget
from edgetainer_agent.attach import SHELL, run_in_container
from edgetainer_agent.commands import HostCommand
from edgetainer_agent.docker import Docker
from edgetainer_agent.forward import Forwarder
from edgetainer_agent.program import Program, ProgramChannel
from edgetainer_agent.terminal import HostTerminal

log = Logger()


class AgentDoors:
    """The tunnel's `Doors` of this device.

    A TCP channel is opened only to what the newest configuration exposes, and
    each purpose has a limit of its own, so that visitors of a web page cannot
    take away the terminal that would repair it.

    :param limits: most channels at one moment, by purpose.
    :param shell: the host's shell for terminals; None: the account's own.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        docker: Docker,
        forwarder: Forwarder,
        limits: dict[str, int],
        shell: str | None,
    ) -> None:
        self._reactor = reactor
        self._docker = docker
        self._forwarder = forwarder
        self._limits = limits
        self._shell = shell
        self._exposed: frozenset[tuple[str, int]] = frozenset()
        self._open: Counter[str] = Counter()

    def expose(self, doors: Iterable[tuple[str, int]]) -> None:
        """From now on these (service, port) pairs may be dialled, and no others.

        Connections that are open stay: the gateway decides about its visitors.
        """
        self._exposed = frozenset(doors)

    @property
    def open_channels(self) -> dict[str, int]:
        """How many are open, by purpose."""
        return {purpose: count for purpose, count in self._open.items() if count}

    async def open(self, target: Target) -> IProtocol:
        """The protocol for a channel; see `edgetainer.tunnel.doors.Doors`.

        :raises EdgetainerError: a refusal and its reason.
        """
        purpose = target.purpose
        if self._open[purpose] >= self._limits.get(purpose, 0):
            raise EdgetainerError(
                "channel_limit",
                f"This device has {self._open[purpose]} channels for {purpose} open, its limit.",
            )
        # Taken before waiting for anything, or many could pass at once.
        self._open[purpose] += 1
        place = _Place(lambda: self._release(purpose))
        try:
            protocol = await self._door(target)
        except BaseException:
            place.leave()
            raise
        log.debug("Opened {target!r}", target=target)
        if IHalfCloseableProtocol.providedBy(protocol):
            return HalfCloseableOccupant(protocol, place)
        return Occupant(protocol, place)

    async def _door(self, target: Target) -> IProtocol:
        if isinstance(target, TcpTarget):
            if (target.service, target.port) not in self._exposed:
                raise EdgetainerError(
                    "service_not_exposed",
                    f"Port {target.port} of {target.service} is not exposed on this device.",
                )
            return await self._forwarder.open(target.service, target.port)
        program: Program
        if isinstance(target, TerminalTarget):
            program = await self._terminal(target)
        elif isinstance(target, ExecTarget):
            program = await self._command(target)
        else:
            raise EdgetainerError("channel_refused", f"No door for {target.purpose}.")
        channel: IProtocol = ProgramChannel(program)
        return channel

    async def _terminal(self, target: TerminalTarget) -> Program:
        if target.container is None:
            return HostTerminal(reactor=self._reactor, target=target, shell=self._shell)
        return await run_in_container(
            reactor=self._reactor,
            docker=self._docker,
            container=await self._docker.running(target.container),
            argv=target.command or SHELL,
            terminal=(target.columns, target.rows, target.term),
        )

    async def _command(self, target: ExecTarget) -> Program:
        if target.container is None:
            return HostCommand(reactor=self._reactor, target=target)
        return await run_in_container(
            reactor=self._reactor,
            docker=self._docker,
            container=await self._docker.running(target.container),
            argv=target.argv,
            timeout_s=target.timeout_s,
        )

    def _release(self, purpose: str) -> None:
        self._open[purpose] -= 1


class _Place:
    """One of the places that a limit counts; given back once."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def leave(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()


class Occupant(Protocol):
    """A protocol that gives its place back when its channel is over."""

    def __init__(self, protocol: IProtocol, place: _Place) -> None:
        self.protocol: Any = protocol
        self._place = place

    def connectionMade(self) -> None:
        self.protocol.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._place.leave()
        self.protocol.connectionLost(reason)


@implementer(IHalfCloseableProtocol)
class HalfCloseableOccupant(Occupant):
    """The same for protocols whose two directions may end apart."""

    def readConnectionLost(self) -> None:
        self.protocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        self.protocol.writeConnectionLost()
