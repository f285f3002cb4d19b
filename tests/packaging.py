"""Checks the distribution as its users get it; `tox -e packaging` runs this, not pytest.

Wheel and source archive are built, compared with the checkout and installed into
empty environments: one for the server, one with the agent's requirements alone.
At last `make run` on a fresh clone, which is what a newcomer does first.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.ports import free_ports, until

ROOT = Path(__file__).parent.parent
AGENT_MODULES = "import pkgutil, importlib, edgetainer_agent as a\n" + (
    "for m in pkgutil.walk_packages(a.__path__, 'edgetainer_agent.'):\n"
    "    if not m.name.endswith('__main__'): importlib.import_module(m.name); print(m.name)\n"
)

# Installing everything on a slow network, then a first start.
RUNS_WITHIN_S = 900.0
STOPS_WITHIN_S = 60.0
# What a newcomer looks at, with nothing but what `make run` has installed.
VISIT = """
import json, sys
from pathlib import Path
from edgetainer.cli.client import Client
told = json.loads(Path(sys.argv[1]).read_text())
client = Client(address=("127.0.0.1", told["gateway_port"]), host="localhost",
                ca_file=Path(told["ca_file"]))
status, page = client.fetch("GET", "/")
assert status == 200 and b"<script" in page, page
client.login(told["admin_user"], Path(told["admin_password_file"]).read_text().strip())
assert client.ask("GET", "/api/devices/" + told["device_id"])["status"] == "online"
if told["device_url"] is not None:
    host = told["device_url"].split("/")[2].split(":")[0]
    status, page = client.fetch("GET", "/", host=host)
    assert status == 200 and b"Hello from the edge" in page, page
"""
REMOVE = """
import docker, sys
from edgetainer_agent.docker import project_prefix
engine, mine = docker.from_env(), {"name": project_prefix(sys.argv[1])}
for container in engine.containers.list(all=True, filters=mine):
    container.remove(force=True)
for network in engine.networks.list(filters=mine):
    network.remove()
"""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command, show it, and give its standard output; a failure ends the check."""
    print("$", *(str(part).strip().split("\n")[0] for part in command), flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    finished = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode:
        sys.exit(f"{finished.stdout}\nexit {finished.returncode}")
    return finished.stdout


def demand(condition: bool, what: str) -> None:
    """End the check unless `condition` holds."""
    if not condition:
        sys.exit(f"packaging: {what}")


def build(folder: Path) -> tuple[Path, Path]:
    """Build the source archive, and from it, as an installer would, the wheel."""
    for old in folder.glob("edgetainer-*"):
        old.unlink()
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder)
    (wheel,) = folder.glob("*.whl")
    (archive,) = folder.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, archive)
    return wheel, archive


def check_content(wheel: Path, archive: Path) -> None:
    """Everything that is tracked under the packages is in the wheel, and the web UI with it."""
    tracked = run("git", "ls-files", "edgetainer", "agent/edgetainer_agent", "twisted").splitlines()
    wanted = {name.removeprefix("agent/") for name in tracked if not name.endswith(".gitkeep")}
    present = set(zipfile.ZipFile(wheel).namelist())
    demand(wanted <= present, f"the wheel lacks {sorted(wanted - present)}")
    demand("edgetainer/web/index.html" in present, "the wheel lacks the web UI")
    stray = {
        name
        for name in present
        if name.startswith(("tests", "bench")) or name.endswith((".pyc", ".pem", ".key"))
    }
    demand(not stray, f"the wheel holds {sorted(stray)}")
    with tarfile.open(archive) as opened:
        members = {name.split("/", 1)[-1] for name in opened.getnames()}
    demand({"LICENSE", "Makefile", "tox.ini"} <= members, "the source archive is not whole")


def check_server(wheel: Path, folder: Path) -> None:
    """`twistd edgetainer` is there and describes its options, from wheel and from checkout."""
    environment = folder / "server"
    python = environment / "bin" / "python"
    run("uv", "venv", "--quiet", "--clear", environment)
    requirements = ROOT / "requirements" / "run.txt"
    run("uv", "pip", "install", "--quiet", "--python", python, "-r", requirements)
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)

    # The script twistd does not look into the working folder; `python -m` does.
    twist_of_checkout = run(python, "-m", "twisted", "edgetainer", "--help")
    twistd_of_checkout = run(
        "env", f"PYTHONPATH={ROOT}", environment / "bin" / "twistd", "edgetainer", "--help"
    )
    run("uv", "pip", "install", "--quiet", "--python", python, "--no-deps", wheel)
    from_wheel = run(environment / "bin" / "twistd", "edgetainer", "--help", cwd=empty)
    for text in (twist_of_checkout, twistd_of_checkout, from_wheel):
        demand("--state-dir" in text and "--database-url" in text, f"no help in:\n{text}")
    where = run(python, "-c", "import edgetainer; print(edgetainer.__file__)", cwd=empty)
    demand(str(environment) in where, f"the wheel's package is not the one used: {where}")


def check_agent(wheel: Path, folder: Path) -> None:
    """The agent lives on the base requirements: nothing of the server's is installed."""
    environment = folder / "agent"
    python = environment / "bin" / "python"
    run("uv", "venv", "--quiet", "--clear", environment)
    run("uv", "pip", "install", "--quiet", "--python", python, wheel)
    modules = run(python, "-c", AGENT_MODULES, cwd=folder)
    demand("edgetainer_agent.main" in modules, f"the agent is not whole: {modules}")
    run(environment / "bin" / "edgetainer-agent", "--help", cwd=folder)
    run(environment / "bin" / "edgetainer-simulate", "--help", cwd=folder)


def check_make_run(folder: Path) -> None:
    """A fresh clone comes up whole with `make run`, and Ctrl-C leaves nothing running."""
    clone = folder / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    run("git", "clone", "--quiet", ROOT, clone)
    if (ROOT / "web" / "dist").is_dir():
        # Used as long as it is current; building it is the business of `tox -e web`.
        shutil.copytree(ROOT / "web" / "dist", clone / "web" / "dist")
    log, run_file = folder / "make-run.log", clone / "var" / "run.json"
    command = ["make", "run", f"PORT={free_ports()}"]
    print("$", *command, flush=True)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches all of it, as from a terminal.
        process = subprocess.Popen(
            command, cwd=clone, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )

    def ready() -> bool:
        demand(process.poll() is None, f"make run has ended:\n{log.read_text()}")
        return run_file.exists()

    python = clone / ".venv" / "bin" / "python"
    told = {}
    try:
        until("make run is ready", ready, RUNS_WITHIN_S)
        told = json.loads(run_file.read_text())
        demand(
            told["device_url"] is not None or not os.environ.get("CI"),
            f"the demo device has no page:\n{log.read_text()}",
        )
        # -P: the installed package, not the clone's folder.
        run(python, "-P", "-c", VISIT, run_file, cwd=clone)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(STOPS_WITHIN_S)
        if told.get("device_url"):
            run(python, "-P", "-c", REMOVE, told["device_id"], cwd=clone)
    demand(not run_file.exists(), "Ctrl-C left run.json behind")
    left = [name for name, pid in told["pids"].items() if Path(f"/proc/{pid}").exists()]
    demand(not left, f"Ctrl-C left these running: {left}")


def main() -> None:
    """Check the distribution, working in the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wheel, archive = build(folder)
    check_content(wheel, archive)
    check_server(wheel, folder)
    check_agent(wheel, folder)
    check_make_run(folder)
    print("packaging: wheel, source archive and `make run` are whole and usable")


if __name__ == "__main__":
    main()
