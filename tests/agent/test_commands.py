from __future__ import annotations

import hashlib
import os
from typing import Any

import psutil
import pytest
import pytest_twisted
from twisted.internet import reactor

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import ExecTarget, FrameType, Signal
from edgetainer_agent.commands import HostCommand
from edgetainer_agent.program import ProgramChannel
from tests.agent.channels import Channel, gone


def run(*argv: str, timeout_s: float = 30.0) -> Channel:
    target = ExecTarget(argv=argv, container=None, timeout_s=timeout_s)
    return Channel(reactor).connect(ProgramChannel(HostCommand(reactor=reactor, target=target)))


@pytest_twisted.ensureDeferred
async def test_outputs_stay_apart_and_the_code_comes_last() -> None:
    channel = run("/bin/sh", "-c", "echo out; echo err >&2; exit 3")
    ended = await channel.until_exit()
    assert (ended.code, ended.signal) == (3, None)
    assert (bytes(channel.output), bytes(channel.errors)) == (b"out\n", b"err\n")
    assert channel.frames[-1].type is FrameType.EXIT


@pytest_twisted.ensureDeferred
async def test_input_until_its_end() -> None:
    channel = run("sha256sum")
    for _ in range(64):
        channel.send(FrameType.DATA, b"x" * 16_384)
    channel.send(FrameType.EOF)
    await channel.until_exit()
    digest = hashlib.sha256(b"x" * 16_384 * 64).hexdigest()
    assert channel.output.decode() == f"{digest}  -\n"


@pytest_twisted.ensureDeferred
async def test_a_command_that_does_not_read_pauses_the_channel() -> None:
    channel = run("sleep", "60")
    for _ in range(40):
        channel.send(FrameType.DATA, b"x" * 16_384)
    assert channel.input_paused
    channel.drop()


@pytest_twisted.ensureDeferred
async def test_a_command_that_closes_its_input_keeps_its_output() -> None:
    channel = run("/bin/sh", "-c", "exec <&-; sleep 0.2; echo after")
    for _ in range(40):
        channel.send(FrameType.DATA, b"x" * 16_384)
    ended = await channel.until_exit()
    assert (ended.code, bytes(channel.output)) == (0, b"after\n")
    assert not channel.input_paused


@pytest_twisted.ensureDeferred
async def test_the_time_limit_reaches_all_that_it_started(monkeypatch: Any) -> None:
    monkeypatch.setattr("edgetainer_agent.commands.KILL_AFTER_S", 0.2)
    channel = run(
        "/bin/sh", "-c", "trap '' TERM; (trap '' TERM; sleep 61) & echo $!; wait", timeout_s=0.3
    )
    await channel.until_output(b"\n")
    grandchild = psutil.Process(int(channel.output))
    ended = await channel.until_exit()
    assert (ended.code, ended.signal) == (None, "KILL")
    await channel.until(lambda: gone(grandchild))


@pytest_twisted.ensureDeferred
async def test_a_daemon_does_not_hold_the_channel(monkeypatch: Any) -> None:
    monkeypatch.setattr("edgetainer_agent.commands.LINGER_S", 0.2)
    channel = run("/bin/sh", "-c", "sleep 62 & echo $!")
    ended = await channel.until_exit()
    assert ended.code == 0
    # It was left alone: whoever starts a daemon wants it to stay.
    daemon = psutil.Process(int(channel.output))
    assert not gone(daemon)
    daemon.kill()


@pytest_twisted.ensureDeferred
async def test_a_child_that_talks_on_has_the_same_time_limit(monkeypatch: Any) -> None:
    monkeypatch.setattr("edgetainer_agent.commands.LINGER_S", 0.1)
    script = "(while :; do echo more; sleep 0.02; done) & echo child=$!."
    channel = run("/bin/sh", "-c", script, timeout_s=0.5)
    ended = await channel.until_exit()
    assert ended.code == 0
    number = bytes(channel.output).partition(b"child=")[2].partition(b".")[0]
    child = psutil.Process(int(number))
    await channel.until(lambda: gone(child))


@pytest_twisted.ensureDeferred
async def test_a_slow_reader_loses_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr("edgetainer_agent.commands.LINGER_S", 0.05)
    channel = Channel(reactor)
    channel.window = 4_096
    channel.stop_reading()
    target = ExecTarget(argv=("seq", "1", "100000"), container=None, timeout_s=60)
    channel.connect(ProgramChannel(HostCommand(reactor=reactor, target=target)))
    rounds = 0
    while channel.exit is None:
        await channel.until(lambda: len(channel.unread) > channel.window or channel.closed)
        channel.reading = True
        channel._read()
        channel.stop_reading()
        if channel._producer is not None:
            channel._producer.resumeProducing()
        rounds += 1
    assert rounds > 20
    assert channel.most_unread <= channel.window + 2 * 65_536
    assert channel.output.split() == [str(number).encode() for number in range(1, 100_001)]


@pytest_twisted.ensureDeferred
async def test_signals_and_a_dropped_channel() -> None:
    channel = run("/bin/sh", "-c", "echo $$; exec sleep 63")
    await channel.until_output(b"\n")
    channel.protocol.dataReceived(Signal(name="INT").encode())
    ended = await channel.until_exit()
    assert (ended.code, ended.signal) == (None, "INT")

    channel = run("/bin/sh", "-c", "echo $$; exec sleep 64")
    await channel.until_output(b"\n")
    process = psutil.Process(int(channel.output))
    channel.drop()
    await channel.until(lambda: gone(process))


def test_what_cannot_start_is_refused_and_leaks_nothing() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for argv in (("/no/such/program",), ("no-such-program",), ("/etc/passwd",)):
        with pytest.raises(EdgetainerError) as caught:
            run(*argv)
        assert caught.value.code == "command_failed"
    assert len(os.listdir("/proc/self/fd")) == before


@pytest_twisted.ensureDeferred
async def test_no_descriptor_stays_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await run("true").until_exit()
    # Fewer, if what an earlier test left behind was closed meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= before
