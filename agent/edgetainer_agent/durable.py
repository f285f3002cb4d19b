"""Files that are whole after a power cut: what the agent's state stands on.

A file is written beside its final name, flushed to the disk and renamed over
it, and then the folder is flushed too, because on most file systems the new
name is only durable once its folder is. A reader therefore sees the old file or
the new one, never a part.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

#: Temporary names carry this so that leftovers of a killed write are known.
TEMPORARY_PREFIX = ".tmp-"


def make_private_folder(path: Path) -> None:
    """Create `path` (mode 0700) and its parents, and tighten it if it exists.

    :raises OSError: the folder cannot be made, or is not ours to tighten.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` with `data`, durable and whole.

    The mode is set when the temporary file is created, so that a secret is
    never readable by others, not even for a moment.

    :raises OSError: disk full, no permission; `path` is then as it was.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[os.write(descriptor, remaining) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _flush_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove `path` if it is there, and make its absence durable."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    _flush_folder(path.parent)


def sweep_temporaries(folder: Path) -> None:
    """Remove what writes that were killed half-way left in `folder`."""
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            leftover.unlink()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
