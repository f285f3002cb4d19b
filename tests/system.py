"""A whole system for tests: `make run`'s own program, with its real parts and state.

The server, the agent and the demo stack are started by `edgetainer.cli.run`, as a
person starts them, on free ports and in a folder of its own. Tests then do to it
what people do: ask the API, visit a device's page, kill the agent.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.pool import NullPool

from edgetainer.cli import demo_image, demo_stack
from edgetainer.cli.client import Client
from edgetainer.storage.tables import devices
from edgetainer_agent.docker import project_prefix
from tests import databases
from tests.docker import engine, remove_image, remove_projects
from tests.ports import free_ports, until

ROOT = Path(__file__).parent.parent
START_WITHIN_S = 180.0
STOP_WITHIN_S = 60.0


class System:
    """A running system.

    :param folder: for its state.
    :param database_url: of an empty database.
    :param port: HTTPS port; free ones are found where none is given.
    :param environment: further variables for all its processes.
    """

    def __init__(
        self, folder: Path, database_url: str, *, port: int | None = None, **environment: str
    ) -> None:
        self.folder = folder
        self.port = port or free_ports()
        self.database_url = database_url
        self._environment = {"EDGETAINER_DATABASE_URL": database_url, **environment}
        self._run: subprocess.Popen[bytes] | None = None
        self._agent: subprocess.Popen[bytes] | None = None
        self.document: dict[str, Any] = {}

    @property
    def run_file(self) -> Path:
        return self.folder / "run.json"

    def start(self) -> None:
        """Start everything and wait until all is ready."""
        output = self.folder / "run.log"
        environment = {
            **os.environ,
            **self._environment,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'agent'}",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        with output.open("ab") as log:
            self._run = subprocess.Popen(
                [
                    *(sys.executable, "-m", "edgetainer.cli.run"),
                    *("--state", str(self.folder), "--port", str(self.port)),
                ],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        run = self._run

        def ready() -> bool:
            if run.poll() is not None:
                raise AssertionError(f"it ended with {run.returncode}:\n{output.read_text()}")
            return self.run_file.exists()

        until("the system is ready", ready, START_WITHIN_S)
        self.document = json.loads(self.run_file.read_text())
        self.client = self.sign_in()

    def sign_in(self) -> Client:
        """A client of the API, signed in as the admin."""
        client = Client(
            address=("127.0.0.1", self.port),
            host="localhost",
            ca_file=Path(self.document["ca_file"]),
        )
        client.login(self.document["admin_user"], self.password)
        return client

    @property
    def password(self) -> str:
        return Path(self.document["admin_password_file"]).read_text().strip()

    @property
    def device_id(self) -> str:
        return str(self.document["device_id"])

    def device(self) -> dict[str, Any]:
        """The demo device as the API shows it."""
        return dict(self.client.ask("GET", f"/api/devices/{self.device_id}"))

    def kept_devices(self) -> list[str]:
        """The ids of the devices in the database itself, past the server."""
        database = sqlalchemy.create_engine(self.database_url, poolclass=NullPool)
        with database.connect() as connection:
            return [str(row.id) for row in connection.execute(sqlalchemy.select(devices.c.id))]

    def log(self) -> str:
        """All that the server has logged."""
        return (self.folder / "logs" / "server.log").read_text("utf-8", "replace")

    def kill_agent(self) -> None:
        """End the agent as a power cut does."""
        pid = self.document["pids"]["agent"] if self._agent is None else self._agent.pid
        os.kill(pid, signal.SIGKILL)
        if self._agent is not None:
            self._agent.wait()
            return
        until("the agent is gone", lambda: not alive(pid), 10)

    def start_agent(self) -> None:
        """Start the agent again, as the run's own message tells people to."""
        with (self.folder / "logs" / "device.log").open("ab") as log:
            self._agent = subprocess.Popen(
                self.document["agent_command"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'agent'}"},
            )

    def deploy(self, name: str, compose: str) -> None:
        """Have a stack run on the demo device."""
        upload = {"name": name, "compose": compose}
        software = self.client.ask("POST", "/api/software/upload", upload)
        deployment = self.client.ask(
            "POST", f"/api/software/{software['id']}/deploy", {"device_id": self.device_id}
        )

        def deployed() -> bool:
            status, detail = demo_stack.state_of(self.client, self.device_id, deployment["id"])
            assert status != "failed", detail
            return status == "deployed"

        until(f"{name} is deployed", deployed, 120)

    def expose(self, name: str, container: str, port: int) -> str:
        """Open a port of a container to the outside; the host name that leads to it."""
        service = self.client.ask(
            "POST",
            f"/api/devices/{self.device_id}/exposed-services",
            {
                "name": name,
                "container_name": container,
                "internal_port": port,
                "protocol": "http",
                "auth_required": False,
            },
        )
        return re.sub(r"^https://|:\d+|/$", "", service["url"])

    def connect(self, host: str) -> ssl.SSLSocket:
        """A TLS connection to the port for outside visitors, verified for `host`."""
        context = ssl.create_default_context(cafile=self.document["ca_file"])
        plain = socket.create_connection(("127.0.0.1", self.port), 30)
        return context.wrap_socket(plain, server_hostname=host)

    def said(self) -> str:
        """What the run has told the person at the terminal."""
        return (self.folder / "run.log").read_text("utf-8", "replace")

    def containers(self) -> list[str]:
        """The names of the demo device's containers that run."""
        with contextlib.closing(engine()) as client:
            return [
                container["Names"][0]
                for container in client.containers()
                if container["Names"][0].startswith(f"/{project_prefix(self.device_id)}")
            ]

    def stop(self) -> None:
        """Stop everything as Ctrl-C does."""
        if self._agent is not None and self._agent.poll() is None:
            self._agent.terminate()
            self._agent.wait(STOP_WITHIN_S)
        if self._run is not None and self._run.poll() is None:
            self._run.send_signal(signal.SIGINT)
            assert self._run.wait(STOP_WITHIN_S) == 0, self.said()


@contextmanager
def running(
    kind: str, folder: Path, *, port: int | None = None, **environment: str
) -> Iterator[System]:
    """A system on a database of this kind; nothing of it is left when it ends.

    Skips, or fails where `CI` is set, without a Docker Engine: most of what it is
    for would not be there.
    """
    engine().close()
    with databases.fresh(kind, folder, empty=True) as url:
        system = System(folder, url, port=port, **environment)
        try:
            system.start()
            yield system
        finally:
            system.stop()
            if system.document:
                with contextlib.closing(engine()) as client:
                    remove_projects(client, project_prefix(system.device_id))


@contextmanager
def image_of(program: Path) -> Iterator[str]:
    """An image whose container runs this Python program; removed again."""
    file_system = demo_image.root_file_system(program)
    with contextlib.closing(engine()) as client:
        repository = f"edgetainer-test-{os.urandom(4).hex()}"
        client.import_image_from_data(
            file_system, repository=repository, tag="1", changes=demo_image.configuration()
        )
        yield f"{repository}:1"
        remove_image(client, f"{repository}:1")


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not asked for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
