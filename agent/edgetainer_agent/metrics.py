"""How the machine is: figures for each heartbeat, facts for once.

Plain functions that may wait for the kernel (a file system that hangs hangs
`disk_usage`), so the heartbeat calls them on a thread.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import time
from pathlib import Path
from typing import Any

import psutil

#: What is asked for disk space: where Docker keeps its data, if it is there.
DATA_FOLDERS = (Path("/var/lib/docker"), Path("/"))
#: Characters of what the machine says of itself; the server takes no more.
MAX_LINE = 200
_OS_RELEASE = Path("/etc/os-release")
_MODEL = Path("/proc/device-tree/model")


def metrics() -> dict[str, Any]:
    """The figures of this moment: bytes, seconds, percent of all cores.

    CPU is the mean since the last call; the first call gives 0.
    """
    memory = psutil.virtual_memory()
    disk_used, disk_total = _disk()
    return {
        "cpu_percent": psutil.cpu_percent(interval=None),
        "memory_used": memory.total - memory.available,
        "memory_total": memory.total,
        "disk_used": disk_used,
        "disk_total": disk_total,
        # Not the time of day less that of the start: clocks are set meanwhile.
        "uptime_s": int(time.clock_gettime(time.CLOCK_BOOTTIME)),
        "load1": round(os.getloadavg()[0], 2),
    }


def _disk() -> tuple[int | None, int | None]:
    # A disk that fails costs its own two figures and not the whole heartbeat.
    try:
        usage = psutil.disk_usage(str(next(one for one in DATA_FOLDERS if one.is_dir())))
    except OSError:
        return None, None
    return usage.used, usage.total


def os_version() -> str:
    """The operating system's name for itself."""
    with contextlib.suppress(OSError, ValueError):
        for line in _OS_RELEASE.read_text().splitlines():
            name, _, value = line.partition("=")
            if name == "PRETTY_NAME":
                return _line(" ".join(shlex.split(value))) or platform.system()
    return f"{platform.system()} {platform.release()}"


def hardware_info() -> dict[str, Any]:
    """What the machine is made of."""
    info: dict[str, Any] = {
        "architecture": platform.machine(),
        "cpu_count": os.cpu_count() or 1,
        "memory_total": psutil.virtual_memory().total,
        "kernel": platform.release(),
    }
    with contextlib.suppress(OSError):
        info["model"] = _line(_MODEL.read_text())
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                info["cpu_model"] = _line(value.strip())
                break
    return info


def _line(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:MAX_LINE]
