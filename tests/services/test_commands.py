from __future__ import annotations

from uuid import uuid4

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.services import commands as module
from edgetainer.services.commands import GRACE_S, MAX_KEPT, MAX_RECEIVED, Commands
from edgetainer.storage import audit
from edgetainer.tunnel.messages import ExecTarget, FrameType, Signal
from tests.databases import result
from tests.services.channels import Channels
from tests.services.world import refusal


class Setting:
    def __init__(self, world) -> None:
        self.world = world
        self.device = world.device()
        self.channels = Channels()
        self.commands = Commands(
            database=world.database, devices=self.channels, reactor=world.clock, now=world.now
        )

    def start(self, who=None, **what):
        what = what or {"argv": ("uptime",), "container": "web"}
        run = self.commands.run(who or self.world.operator, self.device, **what)
        return Deferred.fromCoroutine(run)


@pytest.fixture
def setting(world):
    return Setting(world)


def error_of(running: Deferred) -> EdgetainerError:
    with pytest.raises(EdgetainerError) as caught:
        result(running)
    return caught.value


def test_a_command_answers_with_what_it_said(setting):
    running = setting.start(argv=("echo", "a b"), container="web", timeout_s=5)
    channels = setting.channels
    assert channels.device_id == setting.device
    assert channels.target == ExecTarget(argv=("echo", "a b"), container="web", timeout_s=5)
    # Nothing will be typed, and the program is told so.
    assert [frame.type for frame in channels.heard()] == [FrameType.EOF]
    channels.say(FrameType.DATA, b"a")
    channels.say(FrameType.STDERR, b"warn\n")
    channels.say(FrameType.DATA, b" b\n")
    setting.world.clock.advance(2.5)
    channels.exit(3)
    ended = result(running)
    assert (ended.exit_code, ended.signal) == (3, None)
    assert (ended.stdout, ended.stderr) == (b"a b\n", b"warn\n")
    assert ended.truncated is False
    assert ended.duration_s == 2.5
    assert channels.transport.disconnecting
    assert setting.world.clock.getDelayedCalls() == []


def test_a_line_goes_to_the_shell(setting):
    running = setting.start(command="ls | wc -l", container="web")
    assert setting.channels.target.argv == ("sh", "-c", "ls | wc -l")
    setting.channels.exit(None, "TERM")
    ended = result(running)
    assert (ended.exit_code, ended.signal) == (None, "TERM")


def test_the_host_is_for_admins(setting):
    error = error_of(setting.start(argv=("id",)))
    assert error.code == "forbidden"
    assert setting.channels.target is None
    running = setting.start(setting.world.admin, argv=("id",))
    assert setting.channels.target.container is None
    setting.channels.exit(0)
    assert result(running).exit_code == 0


def test_viewers_run_nothing(setting):
    assert error_of(setting.start(setting.world.viewer)).code == "forbidden"
    assert setting.channels.target is None


def test_what_is_attempted_is_in_the_audit_before_it_runs(setting):
    setting.channels.refusal = EdgetainerError("device_offline")
    error_of(setting.start(argv=("reboot", "now"), container="web"))
    (entry,) = result(setting.world.database.read(lambda c: audit.latest(c, limit=5)))
    assert (entry.action, entry.target_kind, entry.target_id) == (
        "commands.run",
        "device",
        setting.device,
    )
    assert entry.actor_name == "operator"
    assert entry.detail["argv"] == "reboot now"
    assert entry.detail["container"] == "web"


@pytest.mark.parametrize("code", ["device_offline", "container_not_found", "command_failed"])
def test_the_devices_reason_is_handed_on(setting, code):
    setting.channels.refusal = EdgetainerError(code, "the reason")
    error = error_of(setting.start())
    assert (error.code, error.detail) == (code, "the reason")


@pytest.mark.parametrize("stream", [FrameType.DATA, FrameType.STDERR])
def test_output_is_kept_within_bounds(setting, stream):
    running = setting.start()
    block = bytes(range(256)) * 256
    for _ in range(MAX_KEPT // len(block)):
        setting.channels.say(stream, block)
    setting.channels.say(stream, b"!")
    setting.channels.exit(0)
    ended = result(running)
    kept = ended.stdout if stream is FrameType.DATA else ended.stderr
    assert kept == block * (MAX_KEPT // len(block))
    assert ended.truncated is True


def test_output_that_just_fits_is_whole(setting):
    running = setting.start()
    for _ in range(MAX_KEPT // 65536):
        setting.channels.say(FrameType.DATA, b"x" * 65536)
    setting.channels.exit(0)
    ended = result(running)
    assert len(ended.stdout) == MAX_KEPT
    assert ended.truncated is False


def test_a_program_that_never_stops_talking_is_killed(setting):
    running = setting.start(argv=("yes",), container="web")
    for _ in range(MAX_RECEIVED // 65536):
        setting.channels.say(FrameType.DATA, b"y\n" * 32768)
    assert [frame.type for frame in setting.channels.heard()] == [FrameType.EOF]
    for _ in range(2):
        setting.channels.say(FrameType.DATA, b"y\n")
    (killed,) = [f for f in setting.channels.heard() if f.type is FrameType.SIGNAL]
    assert Signal.parse(killed.payload) == Signal("KILL")
    setting.channels.exit(None, "KILL")
    ended = result(running)
    assert (ended.signal, ended.truncated) == ("KILL", True)


def test_a_device_that_says_nothing_has_a_deadline(setting):
    running = setting.start(argv=("sleep", "9"), container="web", timeout_s=5)
    setting.world.clock.advance(5 + GRACE_S - 0.1)
    assert not running.called
    setting.world.clock.advance(0.1)
    assert error_of(running).code == "device_timeout"
    assert setting.channels.transport.disconnecting
    # The stream's end comes after the answer and changes nothing.
    setting.channels.protocol.connectionLost(Failure(ConnectionDone()))


@pytest.mark.parametrize("reason", [ConnectionLost(), ConnectionDone()])
def test_a_lost_channel_is_told_as_such(setting, reason):
    running = setting.start()
    setting.channels.say(FrameType.DATA, b"half")
    setting.channels.protocol.connectionLost(Failure(reason))
    assert error_of(running).code == "session_closed"
    assert setting.world.clock.getDelayedCalls() == []


def test_a_device_that_breaks_the_protocol_loses_the_channel(setting):
    running = setting.start()
    setting.channels.say(FrameType.EXIT, b'{"code": "zero"}')
    assert error_of(running).code == "invalid_field"
    assert setting.channels.transport.disconnecting


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"container": "web"}, "argv"),
        ({"argv": ("a",), "command": "a", "container": "web"}, "argv"),
        ({"argv": (), "container": "web"}, "argv"),
        ({"argv": ("a\0b",), "container": "web"}, "argv.0"),
        ({"argv": ("a",), "container": "../x"}, "container"),
        ({"argv": ("a",), "container": "web", "timeout_s": 0}, "timeout_s"),
        ({"argv": ("a",), "container": "web", "timeout_s": 601}, "timeout_s"),
        ({"argv": ("a",), "container": "web", "timeout_s": float("nan")}, "timeout_s"),
    ],
)
def test_wrong_values_are_named(setting, what, field):
    error = error_of(setting.start(**what))
    assert (error.code, error.field) == ("invalid_field", field)
    assert setting.channels.target is None


def test_an_unknown_device_is_not_found(setting):
    run = setting.commands.run(setting.world.operator, str(uuid4()), argv=("a",), container="web")
    assert refusal(run).code == "not_found"


def test_the_number_of_commands_at_a_time_is_bounded(setting, monkeypatch):
    monkeypatch.setattr(module, "MAX_RUNNING", 1)
    first = setting.start()
    assert error_of(setting.start()).code == "unavailable"
    setting.channels.exit(0)
    result(first)
    second = setting.start()
    setting.channels.exit(0)
    assert result(second).exit_code == 0
