"""The server in a process of its own, so that it can be killed and started again.

`make run` without its demo device: `twistd edgetainer` on free ports of this
machine, with SQLite in a folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgetainer.cli.client import Client, Refused
from tests.ports import free_ports, until

ROOT = Path(__file__).parent.parent
START_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0


class ServerProcess:
    """A server on 127.0.0.1.

    :param folder: for its state, which outlives it.
    :param port: HTTPS port, the tunnel's is the next; free ones where none is given.
    :param options: further options of `twistd edgetainer`, without their dashes.
    """

    def __init__(self, folder: Path, *, port: int | None = None, **options: object) -> None:
        self.folder = folder
        self.port = port or free_ports()
        self.ca_file = folder / "tls" / "ca.pem"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.client = Client(
            address=("127.0.0.1", self.port), host="localhost", ca_file=self.ca_file
        )

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The console's address."""
        return f"https://localhost:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.folder / "server.log").read_text("utf-8", "replace")

    def start(self, *, wait: bool = True) -> None:
        """Start it, on the same ports as before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            "state-dir": self.folder,
            "interface": "127.0.0.1",
            "https-port": self.port,
            "tunnel-port": self.port + 1,
            "tunnel-addresses": f"127.0.0.1:{self.port + 1}",
            "console-host": "localhost",
            **{name.replace("_", "-"): value for name, value in self._options.items()},
        }
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "twisted", "edgetainer", *flags],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'agent'}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if wait:
            until("the server answers", self.answers, START_WITHIN_S)

    def answers(self) -> bool:
        """Whether its API answers."""
        assert self._process is not None
        assert self._process.poll() is None, f"it ended:\n{self.log[-4000:]}"
        try:
            # The password file is the last thing of a first start.
            return (self.folder / "admin-password").exists() and bool(
                self.client.ask("GET", "/api/health")["status"] == "ok"
            )
        except (OSError, Refused):
            return False

    def sign_in(self) -> None:
        """Let `client` ask as the admin."""
        password = (self.folder / "admin-password").read_text().strip()
        self.client.login("admin", password)

    def token(self, uses: int) -> str:
        """An enrolment token with so many uses."""
        self.sign_in()
        wanted: dict[str, Any] = {"uses": uses, "expires_in_s": 3600}
        return str(self.client.ask("POST", "/api/provision/tokens", wanted)["token"])

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(STOP_WITHIN_S)

    def stop(self) -> None:
        """End it as a service manager does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(STOP_WITHIN_S)
