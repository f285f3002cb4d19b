from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import FrameType, Resize, Signal
from edgetainer_agent.attach import SHELL, run_in_container
from edgetainer_agent.container import Container
from edgetainer_agent.docker import Docker
from edgetainer_agent.program import ProgramChannel
from tests.agent.channels import Channel
from tests.docker import run_container


@pytest_twisted.async_yield_fixture
async def container(agent_docker: Docker, docker_engine: Any, busybox_image: str) -> Any:
    run_container(
        docker_engine,
        busybox_image,
        ["sleep", "600"],
        project=f"{agent_docker.prefix}shop",
        service="web",
    )
    yield await agent_docker.running("web")


class Opener:
    """Runs programs in one container."""

    def __init__(self, docker: Docker, container: Container) -> None:
        self.docker, self.container = docker, container

    async def __call__(
        self, *argv: str, tty: bool = False, timeout_s: float | None = None
    ) -> Channel:
        program = await run_in_container(
            reactor=reactor,
            docker=self.docker,
            container=self.container,
            argv=argv,
            terminal=(91, 27, "xterm") if tty else None,
            timeout_s=timeout_s,
        )
        return Channel(reactor).connect(ProgramChannel(program))

    async def processes(self) -> list[str]:
        """The command lines that run in the container."""
        top = await self.docker.call(lambda client: client.top(self.container.id))
        return [row[-1] for row in top["Processes"]]


@pytest.fixture
def opener(agent_docker: Docker, container: Container) -> Opener:
    return Opener(agent_docker, container)


async def until_gone(opener: Opener, channel: Channel, name: str) -> None:
    processes = await opener.processes()
    for _ in range(100):
        if not any(name in line for line in processes):
            return
        pause = reactor.seconds() + 0.05  # type: ignore[attr-defined]
        await channel.until(lambda until=pause: reactor.seconds() > until)  # type: ignore[attr-defined]
        processes = await opener.processes()
    raise AssertionError(f"{name} still runs: {processes}")


@pytest_twisted.ensureDeferred
async def test_a_shell_answers_resizes_and_exits(opener: Opener) -> None:
    channel = await opener(*SHELL, tty=True)
    # Right away: whoever is given the terminal finds it in its size.
    channel.type_line("stty size; tty; echo $TERM:$((6*7)); echo rea''dy")
    await channel.until_output(b"ready\r\n")
    assert b"27 91\r\n" in channel.output
    assert b"xterm:42\r\n" in channel.output
    channel.protocol.dataReceived(Resize(columns=120, rows=40).encode())
    channel.type_line("while ! stty size | grep '^40'; do sleep 0.05; done; echo resi''zed")
    channel.type_line("exit 7")
    ended = await channel.until_exit()
    assert (ended.code, ended.signal) == (7, None)


@pytest_twisted.ensureDeferred
async def test_ctrl_c_during_endless_output(opener: Opener) -> None:
    channel = await opener(*SHELL, tty=True)
    channel.type_line("yes edgetainer")
    await channel.until_output(b"edgetainer\r\nedgetainer")
    channel.stop_reading()
    await channel.until(lambda: channel.most_unread > channel.window)
    held = channel.most_unread
    channel.send(FrameType.DATA, b"\x03")
    await until_gone(opener, channel, "yes edgetainer")
    assert channel.most_unread == held <= channel.window + 2 * 65_536
    channel.start_reading()
    channel.type_line("echo still''here")
    await channel.until_output(b"stillhere")
    channel.drop()
    await until_gone(opener, channel, "sh")


@pytest_twisted.ensureDeferred
async def test_a_command_keeps_its_outputs_apart(opener: Opener) -> None:
    channel = await opener("sh", "-c", "cat; echo err >&2; exit 3")
    for _ in range(64):
        channel.send(FrameType.DATA, b"x" * 16_384)
    channel.send(FrameType.EOF)
    ended = await channel.until_exit()
    assert (ended.code, ended.signal) == (3, None)
    assert (bytes(channel.output), bytes(channel.errors)) == (b"x" * 16_384 * 64, b"err\n")


@pytest_twisted.ensureDeferred
async def test_the_time_limit_kills_it_in_the_container(opener: Opener) -> None:
    channel = await opener("sh", "-c", "echo ready; sleep 77; echo never", timeout_s=0.3)
    ended = await channel.until_exit()
    assert (ended.code, ended.signal) == (None, "KILL")
    assert bytes(channel.output) == b"ready\n"
    await until_gone(opener, channel, "sleep 77")


@pytest_twisted.ensureDeferred
async def test_signals_and_a_dropped_channel(opener: Opener) -> None:
    channel = await opener("sh", "-c", "echo ready; exec sleep 78")
    await channel.until_output(b"ready")
    channel.protocol.dataReceived(Signal(name="TERM").encode())
    assert (await channel.until_exit()).code == 143
    channel = await opener("sleep", "79", tty=True)
    channel.protocol.dataReceived(Signal(name="INT").encode())
    assert (await channel.until_exit()).code == 130
    channel = await opener("sleep", "80", tty=True)
    channel.drop()
    await until_gone(opener, channel, "sleep 80")


@pytest.mark.parametrize("tty", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_program_that_cannot_start_is_refused(opener: Opener, tty: bool) -> None:
    for program in ("no-such-program", "/etc/passwd"):
        with pytest.raises(EdgetainerError) as caught:
            await opener(program, tty=tty)
        assert caught.value.code == "command_failed"
        assert f"cannot start {program} in the container {opener.container.name}: " in (
            caught.value.detail
        )
        # The engine's own words, in one line.
        assert "exec" in caught.value.detail
        assert caught.value.detail.isprintable()


@pytest.mark.parametrize("code", [126, 127])
@pytest_twisted.ensureDeferred
async def test_a_program_that_ran_may_end_with_those_codes(opener: Opener, code: int) -> None:
    channel = await opener("sh", "-c", f"echo it ran; exit {code}")
    assert (await channel.until_exit()).code == code
    assert bytes(channel.output) == b"it ran\n"


@pytest_twisted.ensureDeferred
async def test_an_opening_that_is_cancelled_leaves_no_program(
    opener: Opener, monkeypatch: Any
) -> None:
    monkeypatch.setattr("edgetainer_agent.attach.KILL_AFTER_S", 0.5)
    for steps in range(0, 12, 2):
        opening = Deferred.fromCoroutine(opener("sleep", "81"))
        opening.addErrback(lambda failure: failure.trap(CancelledError, EdgetainerError))
        await deferLater(reactor, steps * 0.01)
        opening.cancel()
        opened = await opening
        if isinstance(opened, Channel):
            opened.drop()
    await deferLater(reactor, 0.6)
    await until_gone(opener, Channel(reactor), "sleep 81")


@pytest_twisted.ensureDeferred
async def test_a_container_that_went_away_is_refused(
    opener: Opener, docker_engine: Any, container: Container
) -> None:
    docker_engine.kill(container.id)
    docker_engine.wait(container.id)
    with pytest.raises(EdgetainerError) as caught:
        await opener("true")
    assert caught.value.code == "container_not_running"
    docker_engine.remove_container(container.id)
    with pytest.raises(EdgetainerError) as caught:
        await opener("true")
    assert caught.value.code == "container_not_found"


@pytest_twisted.ensureDeferred
async def test_no_engine_is_a_clear_error(tmp_path: Path, container: Container) -> None:
    docker = Docker(reactor=reactor, socket=tmp_path / "none.sock", prefix="et-")
    docker.start()
    try:
        with pytest.raises(EdgetainerError) as caught:
            await Opener(docker, container)("true")
        assert caught.value.code == "docker_unavailable"
    finally:
        docker.stop()
