"""The server starts as a `twistd` service, from nothing, and stops in order."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import ssl
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, globalLogPublisher

from edgetainer import tap
from edgetainer.config import OPTIONS, load
from tests import databases
from tests.gateway.certificate import self_signed
from tests.ports import free_ports, until

ROOT = Path(__file__).parent.parent
TWISTD = Path(sys.executable).parent / "twistd"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def twistd(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TWISTD, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_option(tmp_path: Path) -> None:
    shown = twistd("edgetainer", "--help", folder=tmp_path).stdout
    for option in OPTIONS:
        assert f"--{option.flag}=" in shown
    assert "EDGETAINER_" in shown


def test_a_bad_option_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ended = twistd(
        *("-n", "edgetainer", "--state-dir", str(state), "--heartbeat-s", "often"),
        folder=tmp_path,
    )
    assert ended.returncode == 1
    assert "heartbeat_s: 'often' (from --heartbeat-s)" in ended.stdout + ended.stderr
    assert not state.exists()


def test_a_database_that_cannot_be_used_ends_the_program(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_ports()}/nothing"
    ended = twistd(
        *("-n", "--pidfile=", "edgetainer", "--state-dir", str(tmp_path / "state")),
        *("--database-url", url, "--interface", "127.0.0.1", "--https-port", str(free_ports())),
        folder=tmp_path,
    )
    assert ended.returncode == 1
    assert "unavailable" in ended.stdout + ended.stderr


@contextmanager
def server(state: Path, port: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [
            *(TWISTD, "-n", "--pidfile=", "edgetainer", "--state-dir", state),
            *("--interface", "127.0.0.1", "--https-port", str(port), *more),
        ],
        cwd=state.parent,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def healthy(state: Path, port: int) -> bool:
    try:
        context = ssl.create_default_context(cafile=state / "tls" / "ca.pem")
        url = f"https://localhost:{port}/api/health"
        with urllib.request.urlopen(url, context=context, timeout=5) as answer:
            return json.load(answer) == {"status": "ok"}
    except (OSError, ssl.SSLError):
        return False


def test_the_reactor_does_not_follow_the_wall_clock(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from edgetainer.tap import Options, makeService\n"
        "options = Options()\n"
        "options.parseOptions(['--state-dir', sys.argv[1]])\n"
        "makeService(options)\n"
        "from twisted.internet import reactor\n"
        "assert abs(reactor.seconds() - time.monotonic()) < 60\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "state")],
        cwd=tmp_path,
        env=ENVIRONMENT,
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_it_starts_from_nothing_and_keeps_its_state(kind: str, tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_ports()
    with databases.fresh(kind, tmp_path, empty=True) as url:
        with server(state, port, "--database-url", url) as process:
            until("it answers", lambda: healthy(state, port), 60)
            password = state / "admin-password"
            assert stat.S_IMODE(password.stat().st_mode) == 0o600
            first = password.read_text()
            assert len(first.strip()) >= 16
            kept = {path: path.read_bytes() for path in state.glob("*/*.key")}
            assert kept
            for path in kept:
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
            # twistd ends by the signal that it was told to end by.
            assert process.returncode == -signal.SIGTERM
            assert "Server Shut Down" in output
            assert str(password) in output
            assert first.strip() not in output
            assert "Traceback" not in output
            # The reactor that dates lines of access does not know the year.
            assert f"/{datetime.now(UTC):%Y}:" in output
        with server(state, port, "--database-url", url) as process:
            until("it answers again", lambda: healthy(state, port), 60)
            assert password.read_text() == first
            assert {path: path.read_bytes() for path in state.glob("*/*.key")} == kept
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
            assert first.strip() not in output


def test_the_log_level_holds_for_whatever_twistd_logs_to(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_ports()
    with server(state, port, "--log-level", "critical") as process:
        until("it answers", lambda: healthy(state, port), 60)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert "GET /api/health" not in output
    assert "starting up" in output  # twistd's own, before the server is made


def test_a_port_that_is_taken_ends_the_program(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_ports()
    with server(state, port):
        until("it answers", lambda: healthy(state, port), 60)
        with server(tmp_path / "other", port, "--tunnel-port", str(free_ports())) as second:
            output, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert f"{port}" in output
        assert "the server cannot start" in output


def test_it_may_open_as_many_files_as_it_needs(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_ports()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = tap.FILES if hard == resource.RLIM_INFINITY else min(tap.FILES, hard)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            process = stack.enter_context(server(state, port))  # inherits the limit
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        until("it answers", lambda: healthy(state, port), 60)
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (wanted, hard)


@contextmanager
def in_process(folder: Path, port: int, **more: str) -> Iterator[tap.Server]:
    """A server in this process, whose observers of the log are put back afterwards."""
    options = {"state-dir": str(folder / "state"), "interface": "127.0.0.1", **more}
    settings = load(command_line={"https-port": str(port), **options}, environment={})
    tap.prepare(settings)
    before = list(globalLogPublisher._observers)
    try:
        yield tap.Server(settings, reactor=reactor)
    finally:
        for observer in list(globalLogPublisher._observers):
            globalLogPublisher.removeObserver(observer)
        for observer in before:
            globalLogPublisher.addObserver(observer)


@pytest_twisted.ensureDeferred
async def test_a_server_stopped_while_it_starts_opens_nothing(tmp_path: Path) -> None:
    port = free_ports()
    with in_process(tmp_path, port) as stopped:
        presence, read = stopped._parts.presence, Deferred()
        start = presence.start

        async def slow() -> None:
            await start()
            await read

        presence.start = slow  # type: ignore[method-assign]
        stopped.startService()
        await deferLater(reactor, 0.2)
        await stopped.stopService()
        assert read.called, "what was waited for is given up"
        await deferLater(reactor, 0.2)
        assert stopped._port is None
        with (
            socket.create_server(("127.0.0.1", port)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            udp.bind(("127.0.0.1", port + 1))


@pytest_twisted.ensureDeferred
async def test_one_part_that_fails_to_stop_keeps_no_other_from_it(tmp_path: Path) -> None:
    with in_process(tmp_path, free_ports()) as stopped:
        stopped.startService()
        with capturedLogs() as logs:
            while stopped._port is None:
                await deferLater(reactor, 0.01)
        assert not [log for log in logs if "ends" in log], "a new certificate does not end soon"
        closed = []
        stopped._parts.switchboard.stop = lambda: 1 / 0  # type: ignore[method-assign]
        close = stopped._parts.database.close
        stopped._parts.database.close = lambda: closed.append(close())  # type: ignore[method-assign]
        await stopped.stopService()
        assert closed == [None]
        assert stopped._parts.tunnel._listening is None


@pytest_twisted.ensureDeferred
async def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap, "RENEWAL_S", 0.05)
    port = free_ports()
    chain_file, key_file = tmp_path / "chain.pem", tmp_path / "key.pem"

    def install(chain: bytes, key: bytes) -> None:
        chain_file.write_bytes(chain)
        key_file.write_bytes(key)

    first, key = self_signed("localhost")
    install(first, key)
    files = {"tls-certificate": str(chain_file), "tls-private-key": str(key_file)}
    with in_process(tmp_path, port, **files) as running:
        running.startService()
        while running._port is None:
            await deferLater(reactor, 0.01)

        async def shown() -> bytes:
            return (await deferToThread(ssl.get_server_certificate, ("127.0.0.1", port))).encode()

        assert await shown() == first
        # Half of a renewal: the key that belongs to it is not there yet.
        second, second_key = self_signed("localhost")
        install(second, key)
        await deferLater(reactor, 0.2)
        assert await shown() == first
        install(second, second_key)
        with capturedLogs() as logs:
            await deferLater(reactor, 0.2)
        assert await shown() == second
        assert {log["ends"] for log in logs if "ends" in log} == {running._parts.certificate.ends}
        await running.stopService()
