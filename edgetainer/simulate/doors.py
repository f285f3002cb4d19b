"""What a simulated device opens: its page on each exposed port, and its shell."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.interfaces import IProtocol, IReactorTime

from edgetainer.errors import EdgetainerError
from edgetainer.simulate.command import SimulatedCommand
from edgetainer.simulate.page import Page
from edgetainer.simulate.terminal import SimulatedTerminal
from edgetainer.tunnel.messages import ExecTarget, Target, TcpTarget, TerminalTarget
from edgetainer_agent.program import ProgramChannel


class SimulatedDoors:
    """The tunnel's `Doors` of one device.

    :param name: the device's, which its page and its prompt show.
    """

    def __init__(self, *, clock: IReactorTime, name: str) -> None:
        self._clock = clock
        self._name = name
        self._exposed: frozenset[tuple[str, int]] = frozenset()

    def expose(self, doors: Iterable[tuple[str, int]]) -> None:
        """From now on these (service, port) pairs may be dialled, and no others."""
        self._exposed = frozenset(doors)

    async def open(self, target: Target) -> IProtocol:
        """The protocol for a channel.

        :raises EdgetainerError: a refusal and its reason.
        """
        protocol: IProtocol
        if isinstance(target, TcpTarget):
            if (target.service, target.port) not in self._exposed:
                raise EdgetainerError(
                    "service_not_exposed",
                    f"Port {target.port} of {target.service} is not exposed on this device.",
                )
            protocol = Page(self._name, target.service, target.port)
        elif isinstance(target, TerminalTarget):
            name = self._name if target.container is None else target.container
            terminal = SimulatedTerminal(clock=self._clock, target=target, name=name)
            protocol = ProgramChannel(terminal)
        elif isinstance(target, ExecTarget):
            protocol = ProgramChannel(SimulatedCommand(clock=self._clock, target=target))
        else:
            raise EdgetainerError("channel_refused", f"No door for {target.purpose}.")
        return protocol
