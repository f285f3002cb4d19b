"""Who the simulated devices are, kept from one start to the next.

One small file a device: its key from before it asks to be enrolled, and what
enrolment brought. One lock a folder: two processes with the same devices would
throw each other off the server for ever.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from edgetainer.errors import EdgetainerError
from edgetainer_agent.durable import make_private_folder, sweep_temporaries, write_atomically
from edgetainer_agent.identity import Identity

LOCK_FILE = "lock"
#: Names of devices, which are names of files here.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Identities:
    """The state folder.

    :raises EdgetainerError: ``config_invalid``: it is in use or cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            make_private_folder(folder)
            self._lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(f"{folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise _unusable(f"{folder} is in use by other simulated devices") from None
        sweep_temporaries(folder)

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)

    def device(self, name: str) -> Kept:
        """What is kept of the device of this name."""
        return Kept(self.folder / f"{name}.json")


class Kept:
    """One device's file; takes the place of the agent's own store in its enrolment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: bytes | None = None

    def key(self) -> bytes:
        """The private key as PEM, made on the first call and kept at once.

        The server answers the same for the same token and key, so a process that
        was killed before it had its answer takes no second use of the token.
        """
        if self._key is None:
            self._key = self._read().get("key", "").encode() or self._make_key()
        return self._key

    def load(self) -> Identity | None:
        """The identity, or None before enrolment.

        :raises EdgetainerError: ``config_invalid``: the file is damaged.
        """
        kept = self._read()
        if "identity" not in kept:
            return None
        try:
            return Identity.from_reply(kept["identity"], self.key())
        except EdgetainerError as error:
            raise _unusable(f"{self._path} is damaged ({error}); remove it") from error

    def save(self, identity: Identity) -> None:
        """The device is enrolled from here on."""
        self._write({"key": self.key().decode(), "identity": identity.document()})

    def _make_key(self) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        self._write({"key": key.decode()})
        return key

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise _unusable(f"{self._path} is damaged ({error}); remove it") from error
        return dict(kept)

    def _write(self, document: dict[str, Any]) -> None:
        write_atomically(self._path, json.dumps(document).encode())


def _unusable(why: str) -> EdgetainerError:
    return EdgetainerError("config_invalid", f"state: {why}", field="state")
