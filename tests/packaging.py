"""Checks the distribution as its users get it; `tox -e packaging` runs this, not pytest.

Wheel and source archive are built, compared with the checkout and installed into
empty environments: one for the server, one with the agent's requirements alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
AGENT_MODULES = "import pkgutil, importlib, edgetainer_agent as a\n" + (
    "for m in pkgutil.walk_packages(a.__path__, 'edgetainer_agent.'):\n"
    "    if not m.name.endswith('__main__'): importlib.import_module(m.name); print(m.name)\n"
)


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command, show it, and give its standard output; a failure ends the check."""
    print("$", *command, flush=True)
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


def main() -> None:
    """Check the distribution, working in the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wheel, archive = build(folder)
    check_content(wheel, archive)
    check_server(wheel, folder)
    check_agent(wheel, folder)
    print("packaging: wheel and source archive are whole and usable")


if __name__ == "__main__":
    main()
