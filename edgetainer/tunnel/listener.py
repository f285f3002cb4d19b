"""The server's door for devices: QUIC connections become sessions.

Who a device is was settled in the handshake, by its certificate. Here it asks
for its session, both sides say hello, and the session is handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.web.server import Site

from edgetainer.errors import EdgetainerError
from edgetainer.quic.budget import PROCESS_BUDGET, Budget
from edgetainer.quic.endpoint import Listening, ServerTls, listen
from edgetainer.quic.settings import SERVER_LIMITS
from edgetainer.tunnel.closing import close_code
from edgetainer.tunnel.limits import HELLO_HEADER, OPEN_DEADLINE, SESSION_PATH
from edgetainer.tunnel.messages import encode_hello, parse_hello
from edgetainer.tunnel.session import Session
from edgetainer.tunnel.wire import dump_object

if TYPE_CHECKING:
    from edgetainer.quic.http3 import Http3Connection
    from edgetainer.quic.opening import SessionRequest
    from edgetainer.quic.websocket_server import WebSocketDoor

log = Logger()

#: Sessions that one connection may ask for in vain. A device asks once and hangs
#: up; each refusal costs a line in the log.
MAX_REFUSALS = 3


class Identity(Protocol):
    """What `ServerTls.verify_client` must return for a device."""

    @property
    def device_id(self) -> str:
        """Whose certificate it was."""


OnSession = Callable[[Session], Mapping[str, Any]]


class TunnelListener:
    """Listens for devices on a UDP port.

    :param tls: the server's identity, and `verify_client`, which must return an
        `Identity` for a device whose certificate is accepted.
    :param site: answers the devices' HTTP requests.
    :param on_session: takes on a session and returns the server's hello (such
        as "time", "revision", "heartbeat_s", "keepalive_s"). It may refuse with
        an `EdgetainerError`, and should look once more whether the device's key
        is accepted: it may have been revoked since the handshake.
    :param static_key: a kept secret, by which devices notice that a killed server is
        back (`quic.server.ServerEndpoint`).
    :param window_budget: bytes that the receive windows of all devices may grow by
        (`quic.budget`).
    :param deadline: seconds that a connection may be open without a session.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        interface: str,
        port: int,
        tls: ServerTls,
        site: Site | None,
        on_session: OnSession,
        static_key: bytes | None = None,
        window_budget: int = PROCESS_BUDGET,
        deadline: float = OPEN_DEADLINE,
    ) -> None:
        self._reactor = reactor
        self._static_key = static_key
        self._limits = replace(SERVER_LIMITS, budget=Budget(window_budget))
        self._interface = interface
        self._port = port
        self._tls = tls
        self._site = site
        self._on_session = on_session
        self._deadline = deadline
        self._listening: Listening | None = None
        # By device: its connection that has no session yet.
        self._arrivals: dict[str, _Arrival] = {}

    def start(self) -> None:
        """Begin to listen.

        :raises twisted.internet.error.CannotListenError: the port is taken.
        """
        self._listening = listen(
            self._reactor,
            interface=self._interface,
            port=self._port,
            tls=self._tls,
            site=self._site,
            on_connection=self.connected,
            limits=self._limits,
            static_key=self._static_key,
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on; the real port when 0 was asked for."""
        if self._listening is None:
            return (self._interface, self._port)
        return self._listening.address

    @property
    def websockets(self) -> WebSocketDoor | None:
        """Takes datagrams by WebSocket; None while nothing is listened on."""
        return None if self._listening is None else self._listening.websockets

    def set_tls(self, tls: ServerTls) -> None:
        """Use another certificate for connections that begin from now on."""
        self._tls = tls
        if self._listening is not None:
            self._listening.set_tls(tls)

    def close(self) -> Deferred[None]:
        """Stop listening and close every connection; fires when all is done."""
        listening, self._listening = self._listening, None
        return succeed(None) if listening is None else listening.close()

    def connected(self, connection: Http3Connection) -> None:
        """A connection whose certificate was accepted; called by the QUIC end."""
        arrival = _Arrival(
            reactor=self._reactor,
            connection=connection,
            on_session=self._on_session,
            deadline=self._deadline,
            arrived=self._arrived,
        )
        # One a device: else whoever holds one device's key could make us keep as
        # many connections as handshakes fit into the deadline.
        older = self._arrivals.get(arrival.device_id)
        self._arrivals[arrival.device_id] = arrival
        if older is not None:
            older.give_way()

    def _arrived(self, arrival: _Arrival) -> None:
        if self._arrivals.get(arrival.device_id) is arrival:
            del self._arrivals[arrival.device_id]


class _Arrival:
    """One connection until it has its session, of which it may have one."""

    def __init__(
        self,
        *,
        reactor: Any,
        connection: Http3Connection,
        on_session: OnSession,
        deadline: float,
        arrived: Callable[[_Arrival], None],
    ) -> None:
        self._reactor = reactor
        self._arrived = arrived
        self._connection = connection
        self._on_session = on_session
        self._session: Session | None = None
        self._refusals = 0
        identity: Any = connection.identity
        self.device_id = str(identity.device_id)
        self._timer: IDelayedCall = reactor.callLater(deadline, self._timed_out)
        connection.on_session = self._requested
        connection.notify_close().addBoth(self._gone)

    def give_way(self) -> None:
        """The device has come anew before it opened a session here."""
        error = EdgetainerError("session_replaced")
        self._connection.close(close_code(error), error.code)

    def _requested(self, request: SessionRequest) -> None:
        try:
            self._admit(request)
        except EdgetainerError as error:
            self._refuse(request, error)
        except Exception:
            log.failure("a session of device {device} failed", device=self.device_id)
            self._refuse(request, EdgetainerError("internal"))

    def _admit(self, request: SessionRequest) -> None:
        if request.path.partition("?")[0] != SESSION_PATH:
            raise EdgetainerError("not_found", f"Sessions are opened at {SESSION_PATH}.")
        if self._session is not None:
            raise EdgetainerError("already_exists", "A connection carries one session.")
        hello = parse_hello(_header(request.headers, HELLO_HEADER))
        session = Session(
            reactor=self._reactor,
            device_id=self.device_id,
            connection=self._connection,
            hello=hello,
        )
        try:
            answer = encode_hello({**self._on_session(session), **_terms(session)})
            webtransport = request.accept(headers=[(HELLO_HEADER, answer)])
        except (ConnectionError, ConnectionLost):
            # The device left while we made up our mind.
            session.close(EdgetainerError("session_closed"))
            return
        except EdgetainerError as error:
            session.discard(error)
            raise
        except Exception:
            session.discard(EdgetainerError("internal"))
            raise
        self._settle()
        self._session = session
        session.attach(webtransport)

    def _refuse(self, request: SessionRequest, error: EdgetainerError) -> None:
        log.warn("a session of {device} was refused: {error}", device=self.device_id, error=error)
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            self._connection.close(
                close_code(EdgetainerError("protocol_violation")), "too many sessions asked for"
            )
            return
        headers = [(b"content-type", b"application/problem+json")]
        request.refuse(error.status, dump_object(error.problem()), headers)

    def _timed_out(self) -> None:
        error = EdgetainerError("session_closed", "The device opened no session.")
        log.info("device {device} opened no session in time", device=self.device_id)
        self._connection.close(close_code(error), error.code)

    def _gone(self, _: object) -> None:
        self._settle()

    def _settle(self) -> None:
        self._arrived(self)
        if self._timer.active():
            self._timer.cancel()


def _terms(session: Session) -> dict[str, Any]:
    """What the hello says of a metered link: that it is treated as one, and how."""
    if session.keepalive_s is None:
        return {}
    return {"profile": session.profile.name, "keepalive_s": session.keepalive_s}


def _header(headers: tuple[tuple[bytes, bytes], ...], wanted: bytes) -> bytes:
    values = [value for name, value in headers if name == wanted]
    if len(values) != 1:
        raise EdgetainerError("invalid_request", "A session needs one edgetainer-hello header.")
    return values[0]
