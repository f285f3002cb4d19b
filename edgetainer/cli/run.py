"""`make run`: a server and a demo device on this machine, until Ctrl-C.

Nothing here is special to the demo's device: it is enrolled with a one-time token
made through the API, by the same agent program as any other device. The state
folder holds everything; a second run finds it and goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TextIO, TypeVar

import yaml

from edgetainer.cli import demo_stack
from edgetainer.cli.children import Child
from edgetainer.cli.client import Client, Refused

T = TypeVar("T")

INTERFACE = "127.0.0.1"
HOST = "localhost"
# Waits, in seconds. The first start makes keys, migrates the database and hashes a
# password on what may be a busy single core.
SERVER_WITHIN_S = 60.0
DEVICE_WITHIN_S = 60.0
STACK_WITHIN_S = 180.0
LOOK_EVERY_S = 0.2
TOKEN_SECONDS = 600


class Failed(Exception):
    """The run cannot go on; the text is for the person who started it."""


class Interrupted(Exception):
    """Someone asked us to stop."""


class Run:
    """One run of everything.

    :param state: the folder that holds all state.
    :param port: HTTPS port; the tunnel's UDP port is the next one.
    """

    def __init__(self, *, state: Path, port: int) -> None:
        self.state = state
        self.port = port
        self.server_dir = state / "server"
        self.device_dir = state / "device"
        self.identity_file = self.device_dir / "state" / "identity.json"
        self.password_file = self.server_dir / "admin-password"
        self.ca_file = self.server_dir / "tls" / "ca.pem"
        self.run_file = state / "run.json"
        self.console_url = f"https://{HOST}:{port}"
        self.tunnel_address = f"{INTERFACE}:{port + 1}"
        self.client = Client(address=(INTERFACE, port), host=HOST, ca_file=self.ca_file)
        self.server: Child | None = None
        self.agent: Child | None = None
        self.engine: demo_stack.Engine | None = None
        self.device_id: str | None = None

    def start(self) -> None:
        """Start everything, in order, and write `run.json` when all is ready."""
        self._check_ports()
        say("Starting the server ...")
        self.server = Child(
            "server",
            [
                program("twistd"),
                *("--nodaemon", "--pidfile=", "edgetainer"),
                *("--state-dir", str(self.server_dir)),
                *("--interface", INTERFACE),
                *("--https-port", str(self.port)),
                *("--tunnel-port", str(self.port + 1)),
                *("--tunnel-addresses", self.tunnel_address),
                *("--console-host", HOST),
            ],
            log=self.state / "logs" / "server.log",
        )
        self._until(SERVER_WITHIN_S, "the server", self._answers)
        self._sign_in()
        self._start_device()
        device_url, missing = self._start_stack()
        self._announce(device_url, missing)

    def watch(self) -> None:
        """Return only by an exception: we are told to stop, or the server has ended."""
        told = False
        while True:
            time.sleep(LOOK_EVERY_S)
            if self.server is not None and self.server.ended:
                raise Failed(ended(self.server))
            # An agent that ends is what people try out: the console shows it offline.
            if self.agent is not None and self.agent.ended and not told:
                told = True
                say(f"\nThe demo device's agent has ended ({self.agent.ended}).")
                say(f"To start it again: {' '.join(self.agent.command)}")

    def stop(self) -> None:
        """Stop everything that was started, the newest first."""
        self.run_file.unlink(missing_ok=True)
        containers = self._containers()
        if self.agent is not None:
            self.agent.stop()
        if self.engine is not None:
            self.engine.stop(containers)
        if self.server is not None:
            self.server.stop()

    def _containers(self) -> list[str]:
        """The demo device's containers, as long as there is a server to ask."""
        if self.engine is None or self.device_id is None:
            return []
        with contextlib.suppress(OSError, Refused, Failed):
            # The access token of the start may be too old by now.
            self._sign_in()
            return demo_stack.running(self.client, self.device_id)
        return []

    def _check_ports(self) -> None:
        for kind, name, port in (
            (socket.SOCK_STREAM, "TCP", self.port),
            (socket.SOCK_DGRAM, "UDP", self.port + 1),
        ):
            with socket.socket(socket.AF_INET, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((INTERFACE, port))
                except OSError as error:
                    raise Failed(
                        f"{name} port {port} cannot be used ({error.strerror}); "
                        "choose another one: make run PORT=..."
                    ) from None

    def _answers(self) -> bool:
        # The password file is the last thing of a first start.
        if not self.ca_file.exists() or not self.password_file.exists():
            return False
        try:
            return bool(self.client.ask("GET", "/api/health")["status"] == "ok")
        except (OSError, Refused):
            return False

    def _sign_in(self) -> None:
        try:
            self.client.login("admin", self.password_file.read_text().strip())
        except Refused as error:
            if error.code != "invalid_credentials":
                raise
            raise Failed(
                f"The password in {self.password_file} is no longer the one of the user admin.\n"
                "Write the present one into that file and start again."
            ) from None

    def _start_device(self) -> None:
        self.device_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.device_dir / "agent.yaml"
        token_file = self.device_dir / "token"
        settings: dict[str, Any] = {
            "state_dir": str(self.device_dir / "state"),
            "server_url": self.console_url,
            "ca_file": str(self.ca_file),
            "token_file": str(token_file),
            "name": "demo-device",
            "heartbeat_s": 10,
        }
        with contextlib.suppress(demo_stack.NoDocker):
            settings["docker_socket"] = str(demo_stack.engine_socket())
        config.write_text(yaml.safe_dump(settings, sort_keys=False))
        if not self._enrolled_here():
            say("Enrolling the demo device ...")
            wanted = {"uses": 1, "expires_in_s": TOKEN_SECONDS, "description": "make run"}
            token = self.client.ask("POST", "/api/provision/tokens", wanted)["token"]
            token_file.touch(mode=0o600)
            token_file.write_text(token)
            # Its key stays, so a device that the server knows stays the same one.
            self.identity_file.unlink(missing_ok=True)
        self.agent = Child(
            "demo device",
            [sys.executable, "-P", "-m", "edgetainer_agent.main", "--config", str(config)],
            log=self.state / "logs" / "device.log",
        )
        self.device_id = self._until(DEVICE_WITHIN_S, "the demo device", self._online_device)

    def _identity(self) -> tuple[str, list[str]] | None:
        """The device's id and the server's addresses, as the agent keeps them."""
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            kept = json.loads(self.identity_file.read_text())
            return str(kept["device_id"]), list(kept["tunnel"]["addresses"])
        return None

    def _enrolled_here(self) -> bool:
        """Whether what the agent keeps still leads to this server."""
        kept = self._identity()
        # Addresses come with the enrolment: with another PORT they lead nowhere.
        if kept is None or kept[1] != [self.tunnel_address]:
            return False
        try:
            self.client.ask("GET", f"/api/devices/{kept[0]}")
        except Refused as error:
            if error.status != 404:
                raise
            return False  # someone deleted it in the console
        return True

    def _online_device(self) -> str | None:
        kept = self._identity()
        if kept is None:
            return None
        device_id = kept[0]
        # "updating" and "error" tell of its stacks: it is connected all the same.
        return None if self._status(device_id) in ("pending", "offline") else device_id

    def _status(self, device_id: str) -> str:
        return str(self.client.ask("GET", f"/api/devices/{device_id}")["status"])

    def _start_stack(self) -> tuple[str | None, str | None]:
        """Have the demo stack served; the device's address, or what is missing for it."""
        assert self.device_id is not None
        device_id = self.device_id
        try:
            self.engine = demo_stack.Engine(demo_stack.engine_socket())
            say("Deploying the demo stack ...")
            compose = demo_stack.compose_file(self.engine.image())
        except demo_stack.NoDocker as error:
            self.engine = None
            return None, str(error)
        deployment = demo_stack.deploy(self.client, device_id, compose)
        demo_stack.expose(self.client, device_id)

        def deployed() -> bool:
            status, detail = demo_stack.state_of(self.client, device_id, deployment)
            if status == "failed":
                raise Failed(f"The demo stack could not be deployed: {detail}")
            return status == "deployed"

        self._until(STACK_WITHIN_S, "the demo stack", deployed)
        url = str(self.client.ask("GET", f"/api/devices/{device_id}")["url"])
        host = url.removeprefix("https://").split(":")[0].split("/")[0]
        self._until(
            STACK_WITHIN_S,
            "the demo stack's page",
            lambda: self.client.fetch("GET", "/state", host=host, headers={})[0] == 200,
        )
        # Its status follows the deployment's a moment later.
        self._until(
            STACK_WITHIN_S, "the demo device", lambda: self._status(device_id) != "updating"
        )
        return url, None

    def _announce(self, device_url: str | None, missing: str | None) -> None:
        assert self.server is not None
        assert self.agent is not None
        document = {
            "console_url": self.console_url,
            "ca_file": str(self.ca_file),
            "admin_user": "admin",
            "admin_password_file": str(self.password_file),
            "device_id": self.device_id,
            "device_url": device_url,
            "gateway_port": self.port,
            "tunnel_port": self.port + 1,
            "pids": {
                "supervisor": os.getpid(),
                "server": self.server.pid,
                "agent": self.agent.pid,
            },
            "agent_command": list(self.agent.command),
        }
        # In whole or not at all: scripts wait for this file.
        fresh = self.run_file.with_suffix(".new")
        fresh.write_text(json.dumps(document, indent=2) + "\n")
        fresh.replace(self.run_file)
        say(
            f"\nEdgetainer is running. All its state is in {self.state}\n\n"
            f"  console   {self.console_url}\n"
            f"  user      admin\n"
            f"  password  {self.password_file.read_text().strip()}\n"
            f"  device    {device_url or 'runs no containers (why: below)'}\n\n"
            f"The certificate is the server's own; trust {self.ca_file}\n"
            "in your browser, or accept its warning. Ctrl-C stops everything."
        )
        if missing is not None:
            say(
                "\nThe device is online, and terminals and commands work; it runs no containers:"
                f"\n{missing}."
            )

    def _until(self, within_s: float, what: str, look: Callable[[], T | None]) -> T:
        """Look until something is found, the time is up, or a child has ended."""
        deadline = time.monotonic() + within_s
        while True:
            found = look()
            if found:
                return found
            for child in (self.server, self.agent):
                if child is not None and child.ended:
                    raise Failed(ended(child))
            if time.monotonic() > deadline:
                logs = self.state / "logs"
                raise Failed(f"{what} was not ready within {within_s:.0f} s; see {logs}")
            time.sleep(LOOK_EVERY_S)


def program(name: str) -> str:
    """A program of this very environment."""
    here = Path(sys.executable).parent / name
    found = str(here) if here.exists() else shutil.which(name)
    if found is None:
        raise Failed(f"{name} is not installed beside {sys.executable}")
    return found


def ended(child: Child) -> str:
    """What to tell people about a child that ended by itself."""
    return f"The {child.name} has ended ({child.ended}); its log {child.log} ends:\n" + (
        child.last_lines()
    )


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(text, flush=True)


def only_one(state: Path) -> TextIO:
    """Hold the state folder for ourselves as long as the returned file is open."""
    holder = (state / "run.lock").open("w")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Failed(f"{state} is in use by another run; choose one: make run STATE=...") from None
    return holder


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; 0 when that went well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--state", type=Path, default=Path("var"), help="folder for all state")
    parser.add_argument("--port", type=int, default=8443, help="HTTPS port; tunnel: the next one")
    options = parser.parse_args(arguments)
    if not 1 <= options.port < 65535:
        parser.error("--port must be from 1 to 65534")

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    # Named one by one, because a shell starts what is in the background with
    # Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    state = options.state.absolute()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    run: Run | None = None
    status = 0
    try:
        with only_one(state):
            run = Run(state=state, port=options.port)
            run.run_file.unlink(missing_ok=True)
            try:
                run.start()
                run.watch()
            except Interrupted:
                say("\nStopping ...")
            finally:
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)
                run.stop()
    except (Failed, Refused, OSError) as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
