from __future__ import annotations

import os
import pwd
import resource
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import FrameType, Resize, Signal, TerminalTarget
from edgetainer_agent.program import ProgramChannel
from edgetainer_agent.terminal import HostTerminal
from tests.agent.channels import Channel, gone


def open_shell(*command: str, shell: str | None = "/bin/sh") -> tuple[Channel, HostTerminal]:
    target = TerminalTarget(container=None, columns=91, rows=27, command=command)
    terminal = HostTerminal(reactor=reactor, target=target, shell=shell)
    return Channel(reactor).connect(ProgramChannel(terminal)), terminal


@pytest_twisted.ensureDeferred
async def test_a_shell_answers_and_exits_with_its_code() -> None:
    channel, _ = open_shell()
    channel.type_line("stty size; tty; echo $TERM:$((6*7))")
    await channel.until_output(b"xterm-256color:42")
    assert b"27 91" in channel.output
    assert b"/dev/pts/" in channel.output
    channel.type_line("exit 7")
    ended = await channel.until_exit()
    assert (ended.code, ended.signal) == (7, None)


@pytest_twisted.ensureDeferred
async def test_it_is_the_accounts_login_shell_in_a_clean_environment(
    tmp_path: Path, monkeypatch: Any
) -> None:
    # An account of the test's own: what this machine's profile does may take long.
    account = SimpleNamespace(pw_dir=str(tmp_path), pw_name="kiosk", pw_shell="/bin/bash")
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: account)
    monkeypatch.setenv("EDGETAINER_AGENT_TOKEN", "s3cret")
    (tmp_path / ".bash_profile").write_text("echo profile was read; PS1='$ '")
    channel, _ = open_shell(shell=None)
    await channel.until_output(b"profile was read")
    channel.type_line("echo name=$0; env; pwd; echo do''ne")
    await channel.until_output(b"done")
    assert b"name=-bash" in channel.output
    assert b"s3cret" not in channel.output
    assert b"USER=kiosk" in channel.output
    assert f"\n{tmp_path}\r\n".encode() in channel.output
    channel.drop()


@pytest_twisted.ensureDeferred
async def test_resize_reaches_the_program() -> None:
    channel, _ = open_shell(
        "/bin/sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
    )
    await channel.until_output(b"ready")
    channel.protocol.dataReceived(Resize(columns=120, rows=40).encode())
    await channel.until_output(b"40 120")
    channel.drop()


@pytest_twisted.ensureDeferred
async def test_ctrl_c_stops_the_program_and_not_the_shell() -> None:
    channel, _ = open_shell()
    # The program says so itself: by then it is the terminal's foreground.
    channel.type_line("sh -c 'echo started; exec sleep 60'; echo interrupted=$?")
    await channel.until_output(b"started\r\n")
    channel.send(FrameType.DATA, b"\x03")
    channel.type_line("echo still''here")
    await channel.until_output(b"stillhere")
    channel.drop()


@pytest_twisted.ensureDeferred
async def test_a_signal_frame_reaches_the_foreground() -> None:
    channel, _ = open_shell("/bin/sh", "-c", "echo ready; exec sleep 60")
    await channel.until_output(b"ready")
    channel.protocol.dataReceived(Signal(name="TERM").encode())
    ended = await channel.until_exit()
    assert (ended.code, ended.signal) == (None, "TERM")


@pytest_twisted.ensureDeferred
async def test_ctrl_c_works_though_the_agent_ignores_sigint() -> None:
    """As when a service manager or a shell's `&` started the agent."""
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import os, sys; os.execv(sys.executable, [sys.executable, '-m',"
        " 'tests.agent.interrupted_terminal'])"
    )
    done = await deferToThread(
        subprocess.run,
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "ignored here: True; ended: None INT", done.stderr


@pytest_twisted.ensureDeferred
async def test_endless_output_is_held_back_and_ctrl_c_still_works() -> None:
    channel, terminal = open_shell()
    channel.type_line("yes edgetainer")
    await channel.until_output(b"edgetainer\r\nedgetainer")
    channel.stop_reading()
    await channel.until(lambda: channel.most_unread > channel.window)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = channel.most_unread
    yes = [
        child
        for child in psutil.Process(terminal.pid).children(recursive=True)
        if child.name() == "yes"
    ]
    assert len(yes) == 1
    channel.send(FrameType.DATA, b"\x03")
    asked = reactor.seconds()  # type: ignore[attr-defined]
    await channel.until(lambda: gone(yes[0]), seconds=5)
    # Half a second on an idle machine; this one may be running other tests.
    assert reactor.seconds() - asked < 3  # type: ignore[attr-defined]
    # Nothing was read meanwhile, so nothing may have come on top.
    assert channel.most_unread == held <= channel.window + 2 * 65_536
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024
    channel.start_reading()
    channel.type_line("echo still''here")
    await channel.until_output(b"stillhere")
    channel.drop()


@pytest_twisted.ensureDeferred
async def test_all_output_comes_before_the_exit() -> None:
    channel = Channel(reactor)
    channel.window = 1_024
    channel.stop_reading()
    target = TerminalTarget(
        container=None, columns=80, rows=24, command=("/bin/sh", "-c", "seq 1 20000")
    )
    channel.connect(ProgramChannel(HostTerminal(reactor=reactor, target=target)))
    while channel.exit is None:
        await channel.until(lambda: len(channel.unread) > channel.window or channel.closed)
        channel.reading = True
        channel._read()
        channel.stop_reading()
        if channel._producer is not None:
            channel._producer.resumeProducing()
    assert channel.output.split() == [str(number).encode() for number in range(1, 20_001)]
    assert channel.exit.code == 0


@pytest_twisted.ensureDeferred
async def test_a_program_that_does_not_read_pauses_the_channel() -> None:
    channel, _ = open_shell("/bin/sh", "-c", "stty raw -echo; echo ready; exec sleep 60")
    await channel.until_output(b"ready")
    for _ in range(40):
        channel.send(FrameType.DATA, b"x" * 8_192)
    assert channel.input_paused
    channel.drop()


def wait_until_over(pid: int) -> None:
    """Without reaping it, and without a turn of the reactor, which would."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest_twisted.ensureDeferred
async def test_a_signal_after_the_end_hits_nobody_else(monkeypatch: Any) -> None:
    target = TerminalTarget(container=None, columns=80, rows=24, command=("/bin/true",))
    terminal = HostTerminal(reactor=reactor, target=target)
    # It is over, and we have not noticed: output is read only once it starts.
    wait_until_over(terminal.pid)
    hit: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, _: hit.append(number))
    try:
        for name in ("USR1", "SIGUSR1"):
            terminal.send_signal(name)
        await deferLater(reactor, 0.05)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert hit == []
    terminal.hang_up()


@pytest.mark.parametrize("stubborn", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_dropped_channel_ends_what_ran_in_it(stubborn: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr("edgetainer_agent.terminal.KILL_AFTER_S", 0.2)
    trap = "trap '' HUP; " if stubborn else ""
    channel, terminal = open_shell(
        "/bin/sh", "-c", f"{trap}echo ready; while :; do sleep 0.05; done"
    )
    await channel.until_output(b"ready")
    process = psutil.Process(terminal.pid)
    channel.drop()
    await channel.until(lambda: gone(process))


@pytest_twisted.ensureDeferred
async def test_a_dropped_channel_with_unread_input_ends_too() -> None:
    channel, terminal = open_shell("/bin/sh", "-c", "stty raw -echo; echo ready; exec sleep 60")
    await channel.until_output(b"ready")
    channel.send(FrameType.DATA, b"x" * 60_000)
    process = psutil.Process(terminal.pid)
    channel.drop()
    await channel.until(lambda: gone(process))


@pytest_twisted.ensureDeferred
async def test_a_channel_that_never_came_leaves_no_shell() -> None:
    target = TerminalTarget(container=None, columns=80, rows=24)
    terminal = HostTerminal(reactor=reactor, target=target, shell="/bin/sh")
    process = psutil.Process(terminal.pid)
    channel = Channel(reactor)
    channel.protocol = ProgramChannel(terminal)
    channel.drop()
    await channel.until(lambda: gone(process))


@pytest.mark.parametrize("command", ["/no/such/shell", "no-such-program", "/etc/passwd"])
def test_what_cannot_start_is_refused(command: str) -> None:
    target = TerminalTarget(container=None, columns=80, rows=24, command=(command,))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(EdgetainerError) as caught:
        HostTerminal(reactor=reactor, target=target)
    assert caught.value.code == "command_failed"
    assert len(os.listdir("/proc/self/fd")) == before


@pytest_twisted.ensureDeferred
async def test_a_broken_frame_costs_the_channel_and_the_shell() -> None:
    channel, terminal = open_shell()
    process = psutil.Process(terminal.pid)
    channel.send(FrameType.RESIZE, b'{"columns":0,"rows":1}')
    await channel.until(lambda: channel.closed and gone(process))
