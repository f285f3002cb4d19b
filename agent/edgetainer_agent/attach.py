"""A program in a container, through Docker's exec.

The docker package makes the exec, resizes it and tells its end; its streams come
over a connection of their own (`exec_connection`). What the engine has no call
for, ending a program, is done to its processes, which the agent's host sees.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer_agent.container import Container
from edgetainer_agent.docker import Docker
from edgetainer_agent.exec_connection import Demultiplexer, ExecConnection
from edgetainer_agent.exec_signals import signal_tree
from edgetainer_agent.process import signal_number
from edgetainer_agent.program import ProgramListener

log = Logger()

#: The best shell a container has, as a login shell where it is bash.
SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash -l || exec sh")
#: Seconds for the engine to start a program, and between looks whether it did.
START_TIMEOUT_S, START_POLL_S = 10.0, 0.02
#: The codes that Docker gives an exec whose program it could not run.
NOT_STARTED = (126, 127)
#: Characters of the engine's words about it in the refusal.
MAX_WORDS = 300
#: Seconds between looks for the exit code, and how many.
EXIT_POLL_S, EXIT_POLLS = 0.05, 60
#: Seconds between hanging up and killing what ignored it.
KILL_AFTER_S = 2.0
#: What the terminal's line discipline turns into signals.
_CONTROL_CHARACTERS = {"INT": b"\x03", "QUIT": b"\x1c", "TSTP": b"\x1a"}


async def run_in_container(
    *,
    reactor: Any,
    docker: Docker,
    container: Container,
    argv: tuple[str, ...],
    terminal: tuple[int, int, str] | None = None,
    timeout_s: float | None = None,
) -> ContainerProgram:
    """Start `argv` in a container.

    :param terminal: columns, rows and TERM; None: no terminal, stderr apart.
    :param timeout_s: seconds until it is killed; None: never.
    :raises EdgetainerError: `docker_unavailable`, `container_not_running`,
        `command_failed`.
    """
    environment = None if terminal is None else {"TERM": terminal[2]}
    created = await docker.call(
        lambda client: client.exec_create(
            container.id,
            list(argv),
            stdin=True,
            tty=terminal is not None,
            environment=environment,
        )
    )
    program = ContainerProgram(
        reactor=reactor, docker=docker, exec_id=created["Id"], tty=terminal is not None
    )
    connection = ExecConnection(created["Id"], tty=terminal is not None, owner=program)
    endpoint = UNIXClientEndpoint(reactor, str(docker.socket), timeout=START_TIMEOUT_S)
    try:
        await connectProtocol(endpoint, connection)
        await connection.started.addTimeout(START_TIMEOUT_S, reactor)
        program.attach(connection, timeout_s)
        why = await program.refusal()
    except EdgetainerError:
        connection.drop()
        program.abandon()
        raise
    except Exception as error:
        # Cancelled too, which may be after the engine was told to start it.
        connection.drop()
        program.abandon()
        raise EdgetainerError(
            "docker_unavailable", f"The engine did not start the program: {error}"
        ) from error
    if why is not None:
        connection.drop()
        raise EdgetainerError(
            "command_failed", f"cannot start {argv[0]} in the container {container.name}: {why}"
        )
    if terminal is not None:
        # Before anybody types: until then the terminal has no size at all.
        await program.resized(terminal[0], terminal[1])
    return program


class ContainerProgram:
    """A program started with `run_in_container`; a `Program`."""

    def __init__(self, *, reactor: Any, docker: Docker, exec_id: str, tty: bool) -> None:
        self._reactor = reactor
        self._docker = docker
        self._id = exec_id
        self._tty = tty
        self._demultiplexer = None if tty else Demultiplexer(self._piece)
        self._connection: ExecConnection | None = None
        self._listener: ProgramListener | None = None
        self._early = b""
        self._disconnected = False
        self._over = False
        self._timed_out = False
        self._size: tuple[int, int] | None = None  # wanted, and not yet asked for
        self._resizing: Deferred[None] | None = None
        self._timers: list[IDelayedCall] = []

    def attach(self, connection: ExecConnection, timeout_s: float | None) -> None:
        """The raw connection is there; keep quiet until `start`."""
        self._connection = connection
        connection.transport.pauseProducing()
        if timeout_s is not None:
            self._timers.append(self._reactor.callLater(timeout_s, self._time_out))

    async def refusal(self) -> str | None:
        """Why the engine could not run the program; None once it runs or ran.

        The engine accepts every exec and only then looks for its program. One
        that is not there has no process number, and the engine writes why where
        the program would have written. Asked for before anybody listens.
        """
        for _ in range(int(START_TIMEOUT_S / START_POLL_S)):
            state = await self._docker.call(lambda client: client.exec_inspect(self._id))
            if state.get("Pid"):
                return None
            if not state["Running"] and state["ExitCode"] is not None:
                if state["ExitCode"] not in NOT_STARTED:
                    return None
                return await self._engines_words() or f"exit code {state['ExitCode']}"
            await deferLater(self._reactor, START_POLL_S)
        raise EdgetainerError("docker_unavailable", "The engine did not start the program in time.")

    async def _engines_words(self) -> str:
        words: list[bytes] = []
        self.resumeProducing()
        for _ in range(EXIT_POLLS):
            if self._disconnected:
                break
            await deferLater(self._reactor, START_POLL_S)
        if self._tty:
            words.append(self._early)
        else:
            Demultiplexer(lambda _, piece: words.append(piece)).push(self._early)
        text = b"".join(words).decode("utf-8", "replace")
        return "".join(filter(str.isprintable, text))[:MAX_WORDS]

    def abandon(self) -> None:
        """It never got a listener: end it, should it run after all."""
        self._over = True
        self._cancel_timers()
        self._signal(signal.SIGKILL)
        # The engine may only be about to start it.
        self._reactor.callLater(KILL_AFTER_S, self._signal, signal.SIGKILL)

    def start(self, listener: ProgramListener) -> None:
        self._listener = listener
        early, self._early = self._early, b""
        if early:
            self.received(early)
        if self._disconnected:
            self._find_exit()
        else:
            self.resumeProducing()

    def write(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.transport.write(data)

    def close_input(self) -> None:
        if self._connection is None:
            return
        if self._tty:
            self._connection.transport.write(b"\x04")
        else:
            self._connection.transport.unregisterProducer()
            self._connection.transport.loseWriteConnection()

    def register_input(self, producer: IPushProducer) -> None:
        if self._connection is not None and not self._disconnected:
            self._connection.transport.registerProducer(producer, True)

    def resize(self, columns: int, rows: int) -> None:
        if self._tty and not self._over:
            self._size = columns, rows
            if self._resizing is None or self._resizing.called:
                self._resizing = Deferred.fromCoroutine(self._resize())

    async def resized(self, columns: int, rows: int) -> None:
        """Like `resize`; returns once the engine has done it."""
        self.resize(columns, rows)
        if self._resizing is not None:
            await self._resizing

    async def _resize(self) -> None:
        # One call at a time: two of them on two threads may change places.
        while self._size is not None and not self._over:
            (columns, rows), self._size = self._size, None
            try:
                await self._docker.call(
                    lambda client, width=columns, height=rows: client.exec_resize(
                        self._id, height=height, width=width
                    )
                )
            except EdgetainerError as error:
                # The program may have ended meanwhile.
                log.info("Docker: {why}", why=error)

    def send_signal(self, name: str) -> None:
        if self._tty and name in _CONTROL_CHARACTERS:
            self.write(_CONTROL_CHARACTERS[name])
            return
        number = signal_number(name)
        if number is not None:
            self._signal(number)

    def hang_up(self) -> None:
        if self._over:
            return
        self._over = True
        self._cancel_timers()
        # The engine does not tell the program that its client went away.
        if not self._disconnected:
            self._signal(signal.SIGHUP)
            self._reactor.callLater(KILL_AFTER_S, self._finish_off)

    def pauseProducing(self) -> None:
        if self._connection is not None and not self._disconnected:
            self._connection.transport.pauseProducing()

    def resumeProducing(self) -> None:
        if self._connection is not None and not self._disconnected:
            self._connection.transport.resumeProducing()

    def stopProducing(self) -> None:
        self.hang_up()

    # What the connection says.

    def received(self, data: bytes) -> None:
        if self._listener is None:
            # Only what was under way when reading was paused.
            self._early += data
        elif self._demultiplexer is not None:
            self._demultiplexer.push(data)
        else:
            self._piece(1, data)

    def disconnected(self) -> None:
        self._disconnected = True
        if self._listener is not None:
            self._find_exit()

    def _piece(self, stream: int, data: bytes) -> None:
        if self._listener is None or self._over:
            return
        if stream == 2:
            self._listener.error_output(data)
        else:
            self._listener.output(data)

    def _find_exit(self) -> None:
        Deferred.fromCoroutine(self._exit_code()).addCallbacks(self._exited, self._exit_unknown)

    async def _exit_code(self) -> int | None:
        # The stream may end a moment before the engine has the code.
        for _ in range(EXIT_POLLS):
            state = await self._docker.call(lambda client: client.exec_inspect(self._id))
            if not state["Running"]:
                code: int | None = state["ExitCode"]
                return code
            await deferLater(self._reactor, EXIT_POLL_S)
        return None

    def _exited(self, code: int | None) -> None:
        self._cancel_timers()
        if self._over or self._listener is None:
            return
        self._over = True
        if self._timed_out:
            self._listener.ended(None, "KILL")
        else:
            self._listener.ended(code, None)

    def _exit_unknown(self, failure: Failure) -> None:
        log.warn("No exit code of a program in a container: {why}", why=failure.value)
        self._exited(None)

    def _time_out(self) -> None:
        log.info("A command in a container reached its time limit")
        self._timed_out = True
        self._signal(signal.SIGKILL)
        # If it cannot be killed, the caller must not wait for it anyway.
        self._timers.append(self._reactor.callLater(KILL_AFTER_S, self._drop))

    def _finish_off(self) -> None:
        if not self._disconnected:
            self._signal(signal.SIGKILL)
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.drop()

    def _signal(self, number: int) -> None:
        self._in_background(lambda client: signal_tree(client.exec_inspect(self._id), number))

    def _in_background(self, function: Callable[[Any], Any]) -> None:
        self._docker.call(function).addErrback(
            lambda failure: log.warn("Docker: {why}", why=failure.value)
        )

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self._timers.clear()
