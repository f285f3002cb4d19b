"""A link that can be cut, under a real dialer on loopback."""

from __future__ import annotations

import random
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from edgetainer.simulate.link import Link
from edgetainer.tunnel.dialer import Dialer
from edgetainer.tunnel.listener import TunnelListener
from edgetainer.tunnel.session import Session
from tests.world import Listed, World


@pytest_twisted.ensureDeferred
async def test_nothing_passes_while_it_is_away() -> None:
    world = World()
    arrived: Deferred[Session] = Deferred()
    accepted: Deferred[Any] = Deferred()

    def admit(session: Session) -> dict[str, Any]:
        arrived.callback(session)
        return {}

    listener = TunnelListener(
        reactor=reactor,
        interface="127.0.0.1",
        port=0,
        tls=world.network.server_tls(verify_client=world.verify),
        site=None,
        on_session=admit,
    )
    listener.start()
    link = Link(reactor=reactor, every_s=3600.0, away_s=3600.0, chance=random.Random(1))
    leaf = world.network.authority.client("dev-1")
    dialer = Dialer(
        reactor=reactor,
        addresses=[listener.address],
        tls=lambda: world.network.client_tls(leaf),
        doors=Listed({}),
        hello=dict,
        on_connected=accepted.callback,
        on_disconnected=lambda error: None,
        on_doorbell=lambda revision: None,
        random=random.Random(1),
        connect=link.connect,
    )
    dialer.start()
    session = await arrived
    await accepted
    assert dialer.connected

    link.away = True
    answer = session.connection.ping()
    answered: list[Any] = []
    answer.addCallback(answered.append)
    pause: Deferred[None] = Deferred()
    reactor.callLater(0.2, pause.callback, None)
    await pause
    assert not answered
    link.away = False
    await answer
    await dialer.stop()
    await listener.close()
