"""Ctrl-C in a terminal of an agent that itself ignores SIGINT. A program."""

from __future__ import annotations

import signal

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from edgetainer.tunnel.messages import FrameType, TerminalTarget
from edgetainer_agent.program import ProgramChannel
from edgetainer_agent.terminal import HostTerminal
from tests.agent.channels import Channel


async def main() -> None:
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    target = TerminalTarget(
        container=None, columns=80, rows=24, command=("/bin/sh", "-c", "echo ready; exec sleep 30")
    )
    terminal = HostTerminal(reactor=reactor, target=target)
    channel = Channel(reactor).connect(ProgramChannel(terminal))
    await channel.until_output(b"ready")
    channel.send(FrameType.DATA, b"\x03")
    ended = await channel.until_exit(seconds=5)
    print(f"ignored here: {ignored}; ended: {ended.code} {ended.signal}")


if __name__ == "__main__":
    running = Deferred.fromCoroutine(main())
    running.addErrback(lambda failure: failure.printTraceback())
    running.addBoth(lambda _: reactor.callLater(0, reactor.stop))  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
