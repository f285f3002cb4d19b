"""Programs of simulated devices, as commands and at a terminal, on a fake clock."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from edgetainer.simulate.command import SimulatedCommand
from edgetainer.simulate.programs import PIECE
from edgetainer.simulate.running import MAX_INPUT, PIECE_EVERY_S
from edgetainer.simulate.terminal import SimulatedTerminal
from edgetainer.tunnel.messages import ExecTarget, TerminalTarget


class Listener:
    """Keeps what a program says."""

    def __init__(self) -> None:
        self.out = b""
        self.err = b""
        self.end: list[tuple[int | None, str | None]] = []

    def output(self, data: bytes) -> None:
        self.out += data

    def error_output(self, data: bytes) -> None:
        self.err += data

    def ended(self, code: int | None, signal: str | None) -> None:
        self.end.append((code, signal))


class Bench:
    """A clock, a listener, and what runs."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.listener = Listener()

    def command(self, *argv: str, timeout_s: float = 60.0) -> SimulatedCommand:
        target = ExecTarget(argv=argv, container=None, timeout_s=timeout_s)
        command = SimulatedCommand(clock=self.clock, target=target)
        command.start(self.listener)
        self.turn()
        return command

    def terminal(self, *command: str) -> SimulatedTerminal:
        target = TerminalTarget(container=None, columns=80, rows=24, command=command)
        terminal = SimulatedTerminal(clock=self.clock, target=target, name="sim-1")
        terminal.start(self.listener)
        self.turn()
        return terminal

    def turn(self, times: int = 8) -> None:
        for _ in range(times):
            self.clock.advance(PIECE_EVERY_S)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("argv", "out", "err", "code"),
    [
        (["echo", "a", "b"], b"a b\n", b"", 0),
        (["/bin/echo", "a"], b"a\n", b"", 0),
        (["sh", "-c", "echo 'a  b' # c"], b"a  b\n", b"", 0),
        (["sh", "-c", ""], b"", b"", 0),
        (["true"], b"", b"", 0),
        (["false"], b"", b"", 1),
        (["exit", "7"], b"", b"", 7),
        (["exit"], b"", b"", 0),
        (["errors", "no"], b"", b"no\n", 0),
        (["bytes", "300"], bytes(range(256)) + bytes(range(44)), b"", 0),
        (["bytes"], b"", b"bytes: how many?\n", 2),
        (["sleep", "soon"], b"", b"sleep: for how many seconds?\n", 2),
        (["sh", "-c", "echo 'open"], b"", b"No closing quotation\n", 2),
        (["ls"], b"", b"ls: not found on this simulated device; try help\n", 127),
    ],
)
def test_what_commands_say_and_how_they_end(
    bench: Bench, argv: list[str], out: bytes, err: bytes, code: int
) -> None:
    bench.command(*argv)
    assert (bench.listener.out, bench.listener.err) == (out, err)
    assert bench.listener.end == [(code, None)]
    assert bench.clock.getDelayedCalls() == [], "no timer is left"


def test_help_names_every_program(bench: Bench) -> None:
    bench.command("help")
    assert b"echo" in bench.listener.out
    assert b"yes" in bench.listener.out


def test_sleep_takes_its_time(bench: Bench) -> None:
    bench.command("sleep", "5")
    bench.clock.advance(4.9)
    assert bench.listener.end == []
    bench.clock.advance(0.2)
    assert bench.listener.end == [(0, None)]


def test_yes_says_nothing_while_it_is_paused_and_one_piece_a_millisecond(bench: Bench) -> None:
    command = bench.command("yes")
    said = len(bench.listener.out)
    assert 0 < said <= 8 * PIECE
    command.pauseProducing()
    bench.turn()
    assert len(bench.listener.out) == said
    command.resumeProducing()
    bench.turn(1)
    assert said < len(bench.listener.out) <= said + PIECE
    command.send_signal("INT")
    assert bench.listener.end == [(None, "INT")]
    assert bench.clock.getDelayedCalls() == []


def test_cat_copies_its_input_to_its_end(bench: Bench) -> None:
    command = bench.command("cat")
    command.pauseProducing()
    command.write(b"one")
    command.write(b"two")
    assert bench.listener.out == b""
    command.resumeProducing()
    bench.turn()
    assert bench.listener.out == b"onetwo"
    command.close_input()
    bench.turn()
    assert bench.listener.end == [(0, None)]


def test_input_that_nobody_reads_is_bounded(bench: Bench) -> None:
    command = bench.command("sleep", "60")
    for _ in range(100):
        command.write(bytes(4096))
    assert command._run is not None
    assert sum(map(len, command._run._input)) <= MAX_INPUT


def test_a_command_ends_at_its_time_limit_and_when_nobody_listens(bench: Bench) -> None:
    bench.command("yes", timeout_s=0.02)
    bench.turn(20)
    assert bench.listener.end == [(None, "TERM")]
    again = Bench()
    again.command("yes").hang_up()
    assert again.clock.getDelayedCalls() == []


def test_a_terminal_echoes_edits_and_runs_lines(bench: Bench) -> None:
    terminal = bench.terminal()
    assert bench.listener.out == b"sim-1$ "
    terminal.write(b"ecjo\x7f\x7f\x7f")
    terminal.write(b"cho hi\r")
    bench.turn()
    assert bench.listener.out == b"sim-1$ ecjo\b \b\b \b\b \bcho hi\r\nhi\r\nsim-1$ "


def test_what_is_typed_is_echoed_at_once(bench: Bench) -> None:
    terminal = bench.terminal()
    terminal.write(b"x")
    assert bench.listener.out.endswith(b"x")


def test_ctrl_c_ends_what_runs_and_not_the_shell(bench: Bench) -> None:
    terminal = bench.terminal()
    terminal.write(b"yes\r")
    bench.turn()
    assert b"y\r\ny\r\n" in bench.listener.out
    terminal.write(b"\x03")
    assert bench.listener.out.endswith(b"^C\r\nsim-1$ ")
    said = len(bench.listener.out)
    bench.turn()
    assert len(bench.listener.out) == said
    assert bench.listener.end == []


def test_a_program_at_the_terminal_reads_lines_to_ctrl_d(bench: Bench) -> None:
    terminal = bench.terminal()
    terminal.write(b"cat\rline\r")
    bench.turn()
    assert bench.listener.out.endswith(b"line\r\nline\r\n")
    terminal.write(b"\x04")
    bench.turn()
    assert bench.listener.out.endswith(b"sim-1$ ")


@pytest.mark.parametrize(
    ("typed", "end"), [(b"exit 3\r", (3, None)), (b"\x04", (0, None)), (b"exit\r", (0, None))]
)
def test_the_shell_ends(bench: Bench, typed: bytes, end: tuple[int, None]) -> None:
    terminal = bench.terminal()
    terminal.write(typed)
    bench.turn()
    assert bench.listener.end == [end]
    terminal.write(b"more")
    assert bench.listener.end == [end]


def test_a_terminal_may_run_one_command(bench: Bench) -> None:
    bench.terminal("echo", "once")
    assert bench.listener.out == b"once\r\n"
    assert bench.listener.end == [(0, None)]


def test_a_terminal_that_is_left_leaves_no_timer(bench: Bench) -> None:
    terminal = bench.terminal()
    terminal.write(b"yes\r")
    bench.turn()
    terminal.stopProducing()
    bench.turn()
    assert bench.clock.getDelayedCalls() == []
