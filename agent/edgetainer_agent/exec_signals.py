"""Signals for programs in containers.

The engine has no call for it; an agent beside the engine sees the processes.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil
from twisted.logger import Logger

log = Logger()


def signal_tree(inspected: dict[str, Any], number: int) -> None:
    """Signal an exec's program and all it started, as seen from the host.

    :param inspected: what the engine says of the exec.
    """
    pid = inspected.get("Pid") or 0
    if not inspected.get("Running") or pid <= 1:
        return
    # The number is the engine's. Where that has other process numbers than we
    # see, the process of this number is somebody else's.
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return
    if inspected["ContainerID"] not in groups:
        log.warn("Process {pid} is not the container's; it gets no signal", pid=pid)
        return
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        # The program first, or a shell would go on with its next line.
        family = [process, *process.children(recursive=True)]
        for member in family:
            # Not by its number alone: that may be another process's by now.
            with contextlib.suppress(psutil.Error):
                member.send_signal(number)
