"""One request of a visitor and its answer from a container.

The exchange asks the `Door` whether and where the request may go, connects
there, and then joins two readers and two writers so that each waits for the
other: the visitor's socket is paused while the container reads slowly, and the
container's stream while the visitor does. It knows nothing of HTTP versions on
the visitor's side; a `Visitor` does. It ends exactly once: answered, failed, or
left by the visitor.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.head import RequestHead
from edgetainer.gateway.headers import to_container, to_visitor
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.pages import Reply, error_reply
from edgetainer.gateway.parties import Door, Passage, Visitor
from edgetainer.gateway.upstream import Upstream

#: Between looks at rates and standstills; every limit they serve is a multiple.
TICK_S = 10.0


class _UpstreamFactory(Factory):
    """Builds the one `Upstream` of an exchange; says nothing in the log."""

    noisy = False

    def __init__(self, build: Callable[[], Upstream]) -> None:
        self._build = build

    def buildProtocol(self, addr: object) -> Upstream:
        return self._build()


class Exchange:
    """See the module. Created and started by the visitor's protocol."""

    log = Logger()

    def __init__(
        self,
        *,
        visitor: Visitor,
        head: RequestHead,
        door: Door,
        clock: IReactorTime,
        limits: Limits,
    ) -> None:
        self._visitor = visitor
        self._head = head
        self._door = door
        self._clock = clock
        self._limits = limits
        self._passage: Passage | None = None
        self._upstream: Upstream | None = None
        self._opening: Deferred[None] | None = None
        self._waiting = True  # for the door or the way
        self._answer_timer: IDelayedCall | None = None
        self._continue_timer: IDelayedCall | None = None
        self._ticker = LoopingCall(self._tick)
        self._ticker.clock = clock
        self._began = clock.seconds()
        self._status: int | None = None
        self._continued = False
        self._body_ended = False
        self._body_bytes = 0  # in the current rate window
        self._window_began = self._began
        self._body_held_since: float | None = self._began
        self._answer_held_since: float | None = None
        self._checked = self._began
        self._ended = False

    def start(self) -> None:
        """Begin; everything else happens by the callbacks below."""
        self._opening = Deferred.fromCoroutine(self._open())
        self._opening.addErrback(self._opening_failed)

    async def _open(self) -> None:
        admitted = await self._door.admit(self._head)
        if isinstance(admitted, Reply):
            self._waiting = False
            self._reply(admitted)
            return
        self._passage = admitted
        upstream = await admitted.way.connect(_UpstreamFactory(self._build_upstream))
        self._waiting = False
        if self._ended:
            return
        self._body_held_since = None
        self._window_began = self._clock.seconds()
        self._ticker.start(TICK_S, now=False)
        upstream.send_head(self._head, to_container(self._head, visitor=self._visitor.address))
        if self._visitor.answer_paused:
            self.pause_answer()
        if self._head.expects_continue:
            self._continue_timer = self._clock.callLater(self._limits.continue_s, self._continue)
        self._visitor.release_body()

    def _build_upstream(self) -> Upstream:
        self._upstream = Upstream(self, head_bytes=self._limits.answer_head_bytes)
        return self._upstream

    def _opening_failed(self, failure: Failure) -> None:
        self._waiting = False
        if self._ended:
            return
        if failure.check(EdgetainerError):
            self.fail(failure.value)
        else:
            self.log.failure("could not open a way for {host}", failure, host=self._head.authority)
            self.fail(EdgetainerError("internal"))

    # From the visitor.

    def body_received(self, data: bytes) -> None:
        """A piece of the request's body, or raw bytes after the switch."""
        self._body_bytes += len(data)
        self._continued = True
        if self._upstream is not None:
            self._upstream.send_body(data)

    def body_ended(self) -> None:
        """The request is complete."""
        self._body_ended = True
        if self._upstream is not None:
            self._upstream.end_body()
        if self._status is None and not self._ended:
            self._answer_timer = self._clock.callLater(self._limits.answer_s, self._unanswered)

    def pause_answer(self) -> None:
        """The visitor reads slowly."""
        if self._answer_held_since is None:
            self._answer_held_since = self._clock.seconds()
        if self._upstream is not None:
            self._upstream.pause()

    def resume_answer(self) -> None:
        """The visitor reads again."""
        self._answer_held_since = None
        if self._upstream is not None:
            self._upstream.resume()

    def visitor_lost(self) -> None:
        """The visitor is gone, or its connection is being closed."""
        self._end("left")
        if self._waiting and self._opening is not None:
            self._waiting = False
            self._opening.cancel()

    def fail(self, error: EdgetainerError) -> None:
        """End with an error page, or by breaking off an answer that has begun."""
        if self._ended:
            return
        if self._status is None:
            self._reply(error_reply(error, self._head), why=error.code)
        else:
            self._end(error.code)
            self._visitor.abort()

    # From the container (`upstream.Reader`).

    def answer_informed(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if status == 100:
            self._continue()
        else:
            self._visitor.inform(status, to_visitor(headers, status=status))

    def answer_begun(self, status: int, headers: list[tuple[bytes, bytes]], reason: bytes) -> None:
        self._status = status
        self._stop_timers()
        self._visitor.respond(status, to_visitor(headers, status=status), reason)

    def answer_switched(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._status = 101
        self._stop_timers()
        protocol = [value for name, value in headers if name == b"upgrade"]
        fields = [*to_visitor(headers, status=101), (b"connection", b"upgrade")]
        self._visitor.switch([*fields, (b"upgrade", protocol[0] if protocol else b"websocket")])

    def answer_received(self, data: bytes) -> None:
        self._visitor.write(data)

    def answer_ended(self) -> None:
        if not self._ended:
            self._end(None)
            self._visitor.finish()

    def answer_failed(self, error: EdgetainerError) -> None:
        self.fail(error)

    def hold_body(self) -> None:
        if self._body_held_since is None:
            self._body_held_since = self._clock.seconds()
        self._visitor.hold_body()

    def release_body(self) -> None:
        self._body_held_since = None
        self._visitor.release_body()

    # Time.

    def _continue(self) -> None:
        """Tell the visitor to send its body: the container said so, or says nothing."""
        if not self._continued and self._head.expects_continue and not self._ended:
            self._continued = True
            self._visitor.inform(100)

    def _unanswered(self) -> None:
        self._answer_timer = None
        self.fail(EdgetainerError("upstream_timeout", "The container did not answer in time."))

    def _tick(self) -> None:
        now = self._clock.seconds()
        for since in (self._body_held_since, self._answer_held_since):
            if since is not None and now - since >= self._limits.stall_s:
                self.fail(EdgetainerError("request_timeout", "Nothing was read for too long."))
                return
        if not self._body_ended and now - self._window_began >= self._limits.body_window_s:
            least = self._limits.body_rate * self._limits.body_window_s
            if self._body_bytes < least and self._body_held_since is None:
                self.fail(EdgetainerError("request_timeout", "The body came too slowly."))
                return
            self._window_began, self._body_bytes = now, 0
        if now - self._checked >= self._limits.recheck_s:
            self._checked = now
            Deferred.fromCoroutine(self._recheck()).addErrback(self._recheck_failed)

    async def _recheck(self) -> None:
        if self._passage is not None:
            await self._passage.recheck()

    def _recheck_failed(self, failure: Failure) -> None:
        if failure.check(EdgetainerError) and failure.value.code == "unavailable":
            # A database that is away says nothing against the visitor, and cuts
            # off no more than it must: new requests.
            why = failure.value
            self.log.warn("could not recheck {host}: {why}", host=self._head.authority, why=why)
        elif failure.check(EdgetainerError):
            self.fail(failure.value)
        else:
            self.log.failure("could not recheck {host}", failure, host=self._head.authority)
            self.fail(EdgetainerError("internal"))

    # Endings.

    def _reply(self, reply: Reply, why: str | None = None) -> None:
        if self._ended:
            return
        self._status = reply.status
        self._end(why)
        self._visitor.respond(reply.status, reply.headers)
        if reply.body and self._head.method != b"HEAD":
            self._visitor.write(reply.body)
        self._visitor.finish()

    def _end(self, why: str | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._stop_timers()
        if self._ticker.running:
            self._ticker.stop()
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.close()
        self.log.info(
            "{method} {host} {status} in {seconds:.3f} s{why}",
            method=self._head.method.decode("ascii"),
            host=str(self._head.authority),
            status=self._status,
            seconds=self._clock.seconds() - self._began,
            why=f" ({why})" if why else "",
            visitor=self._visitor.address,
        )

    def _stop_timers(self) -> None:
        for timer in (self._answer_timer, self._continue_timer):
            if timer is not None and timer.active():
                timer.cancel()
        self._answer_timer = self._continue_timer = None
