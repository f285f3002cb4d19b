"""Small files of the state folder: whole or not there, and secret where they must be."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from edgetainer.errors import EdgetainerError

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644


def write(path: Path, content: bytes, *, mode: int = SECRET_MODE) -> None:
    """Put `content` at `path`: after a crash there is the old file or the new one.

    The folder is made if need be, for its owner only.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # Secret from its first byte on: a mode that is set later is too late.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # The name is in the folder, and the folder is written apart from the file.
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> bytes | None:
    """The content, or None where there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def secret(path: Path, size: int = 32) -> bytes:
    """The secret kept at `path`; made of `size` random bytes where there is none.

    :raises EdgetainerError: `config_invalid`, what is there is shorter.
    """
    known = read(path)
    if known is None:
        known = secrets.token_bytes(size)
        write(path, known)
    if len(known) < size:
        # Emptied by a full disk or a slip of the hand: everybody could guess it.
        raise EdgetainerError(
            "config_invalid", f"{path} has {len(known)} bytes of {size}; restore or delete it."
        )
    return known
