"""The device's end of our stack: the agent's own dialer, doors, forwarder and terminal.

Without Docker: the one "container" is an address of this network namespace.

    python -m bench.agent_end STATE
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, cast

from bench import credentials, places
from bench.reactor import install, say
from edgetainer.errors import EdgetainerError
from edgetainer.quic.endpoint import ClientTls
from edgetainer.tunnel.dialer import Dialer
from edgetainer_agent.container import Container
from edgetainer_agent.docker import Docker


class OneService:
    """Docker's answer where the only container is this machine."""

    async def running(self, name: str) -> Container:
        """The container of this name, whatever the name."""
        return Container(
            id="0", name=name, stack="", service=name, number=1, image="", state="running",
            health=None, exit_code=None, ports=(), started_at="", network_mode="bridge",
            addresses=(places.SERVICE,),
        )  # fmt: skip


def main(arguments: list[str]) -> None:
    """Stay connected until a signal."""
    reactor = install()
    # These choose a reactor when they are imported.
    from edgetainer_agent.doors import AgentDoors
    from edgetainer_agent.forward import Forwarder
    from edgetainer_agent.netlink import NetworkWatch
    from edgetainer_agent.path_memory import PathModels, keep_path

    state = Path(arguments[0])
    docker = cast(Docker, OneService())
    doors = AgentDoors(
        reactor=reactor,
        docker=docker,
        forwarder=Forwarder(reactor=reactor, docker=docker),
        limits={"tcp": 64, "terminal": 16, "exec": 16},
        shell=None,
    )
    doors.expose([("service", places.BULK_PORT)])
    authorities, certificate, key = credentials.device(state)
    tls = ClientTls(
        certificate_authorities=authorities,
        server_name=credentials.TUNNEL_NAME,
        certificate_chain=certificate,
        private_key=key,
    )

    def connected(hello: dict[str, Any]) -> None:
        say(connected=True)

    def disconnected(error: EdgetainerError) -> None:
        say(disconnected=error.code)

    dialer = Dialer(
        reactor=reactor,
        addresses=[(places.SERVER, places.TUNNEL_PORT)],
        tls=lambda: tls,
        doors=doors,
        hello=lambda: {"agent_version": "bench", "name": "bench", "revision": 0},
        on_connected=connected,
        on_disconnected=disconnected,
        on_doorbell=lambda _: None,
        random=SystemRandom(),
        on_connection=partial(keep_path, reactor, PathModels(state / "paths.json")),
    )
    network = NetworkWatch(reactor=reactor, changed=dialer.network_changed)
    reactor.callWhenRunning(network.start)
    reactor.callWhenRunning(dialer.start)
    reactor.addSystemEventTrigger("before", "shutdown", network.stop)
    reactor.addSystemEventTrigger("before", "shutdown", dialer.stop)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
