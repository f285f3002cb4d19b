from __future__ import annotations

import os
import signal
from typing import Any

import pytest_twisted
from twisted.internet import reactor

from edgetainer_agent.process import STDERR, STDOUT, GroupProcess, signal_name, signal_number
from tests.agent.test_service import until


class Listener:
    def __init__(self) -> None:
        self.output = {STDOUT: b"", STDERR: b""}
        self.ended: set[int] = set()
        self.exit: Any = None

    def output_received(self, descriptor: int, data: bytes) -> None:
        self.output[descriptor] += data

    def output_ended(self, descriptor: int) -> None:
        self.ended.add(descriptor)

    def process_exited(self, code: int | None, name: str | None) -> None:
        self.exit = (code, name)

    @property
    def over(self) -> bool:
        return self.exit is not None and len(self.ended) == 2


def run(*argv: str) -> tuple[GroupProcess, Listener]:
    listener = Listener()
    environment = {"PATH": os.environ["PATH"], "WORD": "x y"}
    return GroupProcess(reactor, listener, argv, environment=environment), listener


@pytest_twisted.ensureDeferred
async def test_a_session_of_its_own_with_only_what_it_was_given() -> None:
    process, listener = run("sh", "-c", "ps -o pid=,sid= -p $$; env | grep -c SECRET; echo $WORD")
    await until(lambda: listener.over)
    pid, sid, secrets, word = listener.output[STDOUT].split(maxsplit=3)
    assert int(pid) == int(sid) == process.pid != os.getsid(0)
    assert (secrets, word) == (b"0", b"x y\n")
    assert listener.exit == (0, None)


@pytest_twisted.ensureDeferred
async def test_no_signal_is_ignored_or_blocked_at_its_start() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        _process, listener = run("grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status")
        await until(lambda: listener.over)
    finally:
        signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    masks = [int(line.split()[1], 16) for line in listener.output[STDOUT].splitlines()]
    # 32 and 33 belong to the C library, which lets nobody change them.
    assert [mask & ~(0b11 << 31) for mask in masks] == [0, 0]


@pytest_twisted.ensureDeferred
async def test_pausing_holds_output_in_the_pipe() -> None:
    process, listener = run("sh", "-c", "yes | head -c 1000000")
    process.pauseProducing()
    seen = len(listener.output[STDOUT])
    pause = reactor.seconds() + 0.2  # type: ignore[attr-defined]
    await until(lambda: reactor.seconds() > pause)  # type: ignore[attr-defined]
    assert len(listener.output[STDOUT]) == seen
    assert listener.exit is None
    process.resumeProducing()
    await until(lambda: listener.over)
    assert len(listener.output[STDOUT]) == 1_000_000


@pytest_twisted.ensureDeferred
async def test_signals_reach_the_whole_group() -> None:
    process, listener = run("sh", "-c", "sleep 65 & sleep 66 & echo up; wait")
    await until(lambda: listener.output[STDOUT] == b"up\n")
    process.signal_group(signal.SIGKILL)
    # The pipes end only when the last holder of them is gone.
    await until(lambda: listener.over)
    assert listener.exit == (None, "KILL")
    process.signal_group(signal.SIGKILL)


def take_status(pid: int) -> None:
    """Before the reactor has its next turn."""
    os.waitpid(pid, 0)


@pytest_twisted.ensureDeferred
async def test_a_status_that_someone_else_took_is_no_success() -> None:
    process, listener = run("true")
    take_status(process.pid)
    await until(lambda: len(listener.ended) == 2)
    process.reapProcess()
    assert listener.exit == (None, None)
    assert not process.running


def test_signals_are_named_both_ways() -> None:
    assert signal_name(signal.SIGINT) == "INT"
    assert signal_number("INT") == signal.SIGINT
    assert signal_number("NOPE") is None
    assert signal_name(40) == "RT40"
