from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from edgetainer.errors import EdgetainerError
from edgetainer.quic.endpoint import ServerTls
from edgetainer.quic.errors import ConnectionClosed, SessionRefused
from edgetainer.quic.http3 import Http3Connection
from edgetainer.tunnel.closing import error_from_close
from edgetainer.tunnel.dialer import Dialer
from edgetainer.tunnel.link import Link
from edgetainer.tunnel.listener import MAX_REFUSALS, TunnelListener
from edgetainer.tunnel.messages import HELLO_HEADER, encode_hello
from edgetainer.tunnel.wire import load_object
from tests.authority import Authority
from tests.world import Listed, World

from .recorder import Recorder

HELLO = (HELLO_HEADER, encode_hello({}))


def connection(world: World, device_id: str = "dev-1") -> Http3Connection:
    leaf = world.network.authority.client(device_id)
    connected: Http3Connection = world.run(
        world.network.connect(tls=world.network.client_tls(leaf))
    )
    return connected


def admitted(world: World, made: Http3Connection, **hello: Any) -> Any:
    """A session on the connection, with the device's part played by a `Link`."""

    def begin(session: Any) -> Any:
        Link(
            reactor=world.network.reactor,
            connection=made,
            session=session,
            hello={},
            doors=Listed({}),
            on_doorbell=lambda revision: None,
        )
        return session

    opening = made.open_session("/tunnel/v1", headers=[(HELLO_HEADER, encode_hello(hello))])
    return world.run(opening.addCallback(begin))


def refusal(world: World, opening: Deferred[Any]) -> tuple[int, str]:
    with pytest.raises(SessionRefused) as caught:
        world.run(opening)
    problem = load_object(caught.value.body)
    assert problem["status"] == caught.value.status
    return caught.value.status, problem["code"]


@pytest.mark.parametrize(
    "path", ["/", "/tunnel/v2", "/tunnel/v1/", "/tunnel/v1%00", "/x?/tunnel/v1"]
)
def test_there_is_one_path(path: str) -> None:
    world = World()
    assert refusal(world, connection(world).open_session(path, headers=[HELLO])) == (
        404,
        "not_found",
    )
    assert world.switchboard.online() == frozenset()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([], "invalid_request"),
        ([HELLO, HELLO], "invalid_request"),
        ([(HELLO_HEADER, b"hi")], "protocol_violation"),
        ([(HELLO_HEADER, b'{"v":0}')], "invalid_field"),
        ([(HELLO_HEADER, b'{"v":1,"x":"' + b"x" * 4096 + b'"}')], "protocol_violation"),
    ],
)
def test_a_session_begins_with_one_good_hello(
    headers: list[tuple[bytes, bytes]], code: str
) -> None:
    world = World()
    opening = connection(world).open_session("/tunnel/v1", headers=headers)
    assert refusal(world, opening)[1] == code
    assert world.switchboard.online() == frozenset()


def test_hellos_may_say_more_than_we_know() -> None:
    world = World()
    hello = (HELLO_HEADER, b'{"v":1,"profile":"metered","later":[1,{"x":null}]}')
    world.run(connection(world).open_session("/tunnel/v1?from=later", headers=[hello]))
    assert world.switchboard.session("dev-1").hello["profile"] == "metered"


def test_a_connection_carries_one_session() -> None:
    world = World()
    both = connection(world)
    admitted(world, both)
    assert refusal(world, both.open_session("/tunnel/v1", headers=[HELLO])) == (
        409,
        "already_exists",
    )
    assert world.switchboard.online() == {"dev-1"}


def test_a_session_that_is_not_wanted_is_refused_with_the_reason() -> None:
    world = World()
    world.refuse = EdgetainerError("certificate_refused", "Revoked a moment ago.")
    opening = connection(world).open_session("/tunnel/v1", headers=[HELLO])
    assert refusal(world, opening) == (401, "certificate_refused")


def test_a_connection_without_a_session_is_closed_after_15_seconds() -> None:
    world = World()
    idle, busy = connection(world), connection(world, "dev-2")
    admitted(world, busy)
    ended: list[Any] = []
    idle.notify_close().addBoth(ended.append)
    world.pass_time(14.5)
    assert ended == []
    world.pass_time(1)
    assert ended[0].value.code == 0xED00
    assert world.switchboard.online() == {"dev-2"}


def test_a_device_that_opens_streams_has_them_aborted() -> None:
    world, forward = World(), Recorder()
    session = admitted(world, connection(world))
    session.open_stream(forward)
    forward.transport.write(b"let me in")
    world.until(lambda: forward.lost is not None)
    assert world.switchboard.online() == {"dev-1"}


def test_the_end_of_the_session_ends_the_connection_too() -> None:
    world = World()
    device = connection(world)
    session = admitted(world, device)
    ended: list[Any] = []
    device.notify_close().addBoth(ended.append)
    session.close()
    world.until(lambda: bool(ended) and not world.switchboard.online())
    assert world.changes == [("dev-1", True), ("dev-1", False)]


@pytest_twisted.ensureDeferred
async def test_on_real_sockets() -> None:
    world = World()
    arrived: Deferred[Any] = Deferred()
    accepted: Deferred[Any] = Deferred()
    over: Deferred[Any] = Deferred()

    def admit(session: Any) -> dict[str, Any]:
        arrived.callback(session)
        return {"revision": 1}

    listener = TunnelListener(
        reactor=reactor,
        interface="127.0.0.1",
        port=0,
        tls=world.network.server_tls(verify_client=world.verify),
        site=None,
        on_session=admit,
        window_budget=12_345,
    )
    assert listener.address == ("127.0.0.1", 0)
    # One that no device would trust, replaced before the first of them comes.
    foreign = Authority().server("server.test")
    good = world.network.server_tls(verify_client=world.verify)
    listener.set_tls(ServerTls(foreign.certificate_pem, foreign.key_pem, world.verify))
    listener.start()
    listener.set_tls(good)
    leaf = world.network.authority.client("dev-9")

    class Half:
        def uniform(self, a: float, b: float, /) -> float:
            return (a + b) / 2

    dialer = Dialer(
        reactor=reactor,
        addresses=[("localhost", listener.address[1]), listener.address],
        tls=lambda: world.network.client_tls(leaf),
        doors=Listed({}),
        hello=dict,
        on_connected=accepted.callback,
        on_disconnected=over.callback,
        on_doorbell=lambda revision: None,
        random=Half(),
    )
    dialer.start()
    session = await arrived
    assert session.device_id == "dev-9"
    assert session.peer[0] == "127.0.0.1"
    assert session.connection.driver.quic._limits.budget.total == 12_345
    assert (await accepted)["revision"] == 1
    ended = session.notify_close()
    await dialer.stop()
    assert (await over).code == "session_closed"
    assert (await ended).code == "session_closed"
    await listener.close()
    await listener.close()


def test_a_device_holds_one_connection_without_a_session() -> None:
    world = World()
    first = connection(world)
    other = connection(world, "dev-2")
    over = first.notify_close()
    second = connection(world)
    with pytest.raises(ConnectionClosed) as caught:
        world.run(over)
    assert error_from_close(caught.value.code).code == "session_replaced"
    admitted(world, second)
    admitted(world, other)
    assert world.switchboard.online() == {"dev-1", "dev-2"}


def test_a_connection_with_a_session_stays_while_another_arrives() -> None:
    """Not before the newcomer has its session: it may never get one."""
    world = World()
    first = connection(world)
    admitted(world, first)
    newcomer = connection(world)
    world.run(first.ping())
    assert world.switchboard.session("dev-1").closed is None
    admitted(world, newcomer)
    world.until(lambda: first.driver.failure is not None)


def test_asking_for_sessions_in_vain_ends_the_connection() -> None:
    world = World()
    insistent = connection(world)
    over = insistent.notify_close()
    for _ in range(MAX_REFUSALS):
        assert refusal(world, insistent.open_session("/no", headers=[HELLO])) == (404, "not_found")
    insistent.open_session("/no", headers=[HELLO]).addErrback(lambda _: None)
    with pytest.raises(ConnectionClosed) as caught:
        world.run(over)
    assert error_from_close(caught.value.code).code == "protocol_violation"
