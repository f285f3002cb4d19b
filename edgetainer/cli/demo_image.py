"""Makes the demo's container image from the very Python that runs this.

No registry is asked for anything: the image is a root file system of the
interpreter, the shared libraries that it is linked with and the modules of the
standard library that the demo's page imports, put together in memory; and of this
machine's shell with a few tools, so that a terminal opened in it can be tried.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from shutil import which

from edgetainer.cli import demo_page

REPOSITORY = "edgetainer-demo"
PROGRAM = "/srv/page.py"
PAGE = Path(demo_page.__file__)
# For people who look around in the container; what is not here is left out.
TOOLS = ("sh", "ls", "cat", "env", "ps", "sleep", "stty", "uname")
# Anyone but root; the number that Debian and others call "nobody".
USER = 65534
# Lists the files that the page's imports need, as the interpreter itself finds them.
_LIST_MODULES = """
import runpy, sys
runpy.run_path(sys.argv[1], run_name='listed')
import encodings.ascii, encodings.idna, encodings.latin_1, encodings.utf_8
for module in list(sys.modules.values()):
    name = getattr(module, '__file__', None)
    if name and name != sys.argv[1]:
        print(name)
"""
_LDD = re.compile(r"(?:=> )?(/\S+) \(0x[0-9a-f]+\)")
_TIMEOUT_S = 60


class CannotBuild(Exception):
    """The image cannot be made on this machine; the text says why."""


def root_file_system(program: Path = PAGE) -> bytes:
    """The image's root file system as an uncompressed tar; the same bytes each time.

    :param program: what the container runs; it imports nothing but the standard library.
    :raises CannotBuild: where the interpreter's parts cannot be found.
    """
    interpreter = _interpreter()
    modules = _output(interpreter, "-I", "-S", "-c", _LIST_MODULES, str(program)).split("\n")
    files = {Path(name) for name in modules if name}
    # The interpreter takes this file for the sign that it has found its library.
    files.add(Path(os.__file__))
    files.add(Path(interpreter))
    programs = [str(path) for path in files if path.suffix == ".so"] + [interpreter]
    files |= _libraries(*programs)
    tools = {f"/bin/{name}": os.path.realpath(path) for name in TOOLS if (path := which(name))}
    for tool in tools.values():
        # One that is linked with nothing (a static busybox) makes ldd fail.
        with contextlib.suppress(CannotBuild):
            files |= _libraries(tool)

    content = {path.as_posix(): path.read_bytes() for path in files}
    content |= {name: Path(path).read_bytes() for name, path in tools.items()}
    content[PROGRAM] = program.read_bytes()
    content["/etc/passwd"] = f"nobody:x:{USER}:{USER}::/:/none\n".encode()
    executable = {interpreter, *tools} | {path.as_posix() for path in files if ".so" in path.name}
    return _tar(content, executable)


def configuration() -> list[str]:
    """The Dockerfile lines that `docker import` applies to the file system."""
    return [
        f'CMD ["{_interpreter()}", "-S", "{PROGRAM}"]',
        f"ENV PYTHONHOME={sys.base_prefix} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1",
        f"USER {USER}",
        f"EXPOSE {demo_page.PORT}",
    ]


def tag_of(file_system: bytes) -> str:
    """A tag that changes exactly when the image's content does."""
    digest = hashlib.sha256(file_system)
    digest.update("\n".join(configuration()).encode())
    return digest.hexdigest()[:16]


def _interpreter() -> str:
    # Inside a virtual environment sys.executable is only a link beside a library
    # that the image does not have.
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _libraries(*programs: str) -> set[Path]:
    return {Path(name) for name in _LDD.findall(_output("ldd", *programs))}


def _output(*command: str) -> str:
    try:
        return subprocess.run(  # noqa: S603 - our own interpreter, or ldd
            command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        words = (getattr(error, "stderr", None) or "").strip()
        raise CannotBuild(f"the demo image cannot be made here: {error} {words}") from error


def _tar(content: dict[str, bytes], executable: set[str]) -> bytes:
    """A tar of these files in path order, with the folders that they need."""
    folders = {parent.as_posix() for name in content for parent in Path(name).parents}
    folders |= {"/tmp", "/proc", "/sys", "/dev"}  # noqa: S108 - inside the image
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(folders - {"/"}):
            folder = tarfile.TarInfo(name.lstrip("/"))
            folder.type = tarfile.DIRTYPE
            folder.mode = 0o1777 if name == "/tmp" else 0o755  # noqa: S108
            archive.addfile(folder)
        for name, data in sorted(content.items()):
            member = tarfile.TarInfo(name.lstrip("/"))
            member.size = len(data)
            member.mode = 0o755 if name in executable else 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
