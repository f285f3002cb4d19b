"""Compiles, starts and commands the link emulator (emulator.c)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from bench.profiles import Link, Way

SOURCE = Path(__file__).with_name("emulator.c")
#: The TUN device's name in both namespaces.
DEVICE = "link0"


def compiled(cache: Path | None = None) -> Path:
    """The emulator's binary, compiled unless the cache has it for this source.

    :raises RuntimeError: there is no C compiler, or it refuses.
    """
    if cache is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = Path(home) / "edgetainer-bench"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("the link emulator needs a C compiler (Debian: gcc and libc6-dev)")
    binary = cache / f"emulator-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = binary.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(SOURCE)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the link emulator does not compile:\n{done.stderr}")
        # Whole or not at all, for those who compile at the same moment.
        fresh.replace(binary)
    return binary


class Emulator:
    """A running link between two network namespaces.

    :param device: path of the device's network namespace.
    :param server: path of the server's.
    :param seed: of every chance in it.
    """

    def __init__(self, *, device: str, server: str, seed: int) -> None:
        self._process = subprocess.Popen(
            [compiled(), str(seed), device, server, DEVICE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        if self._answer() != "ready":
            self.close()
            raise RuntimeError("the link emulator did not start")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def set(self, way: Way, link: Link) -> None:
        """Give one direction its properties, at any time."""
        self._command(f"set {way} {link.arguments()}")

    def link(self, *, up: bool) -> None:
        """Interrupt the link, or restore it."""
        self._command(f"link {'on' if up else 'off'}")

    def nat(self, *, on: bool) -> None:
        """Rewrite the ports of what the device sends, as a NAT does."""
        self._command(f"nat {'on' if on else 'off'}")

    def rebind(self) -> None:
        """Let the NAT forget: the device's next packet comes from another port."""
        self._command("rebind")

    def stats(self) -> dict[str, Any]:
        """Counters since the start: "up", "down" and "rebinds"."""
        answer: dict[str, Any] = json.loads(self._ask("stats"))
        return answer

    def close(self) -> None:
        """End it; its devices go with it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it may have ended by itself
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _command(self, line: str) -> None:
        answer = self._ask(line)
        if answer != "ok":
            raise RuntimeError(f"the link emulator answered {answer!r} to {line!r}")

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()
