"""What the device must know after a power cut about what it should run.

`target.json` is the desired state, saved whole before anything is done about
it. Each stack has a folder with its record (what was begun, what is applied)
and one folder for the compose file and variables of each release on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer_agent.durable import make_private_folder, sweep_temporaries, write_atomically

log = Logger()

TARGET_FILE = "target.json"
RECORD_FILE = "record.json"
COMPOSE_FILE = "compose.yaml"
ENVIRONMENT_FILE = "environment"
#: Stacks on one small computer.
MAX_STACKS = 64
#: Characters; the server accepts less.
MAX_COMPOSE = 1024 * 1024
MAX_VARIABLES = 1_000
MAX_VALUE = 64 * 1024

# Also a folder's name here, so nothing else may pass.
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Stack:
    """One release that this device should run."""

    deployment_id: str
    name: str
    version: str
    compose: str = field(repr=False)
    environment: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def digest(self) -> str:
        """Equal exactly for what would run equally."""
        content = json.dumps([self.version, self.compose, self.environment])
        return hashlib.sha256(content.encode()).hexdigest()

    @classmethod
    def parse(cls, document: Any, path: str) -> Stack:
        """A stack from the server's JSON; raises `protocol_violation`."""
        document = _typed(document, dict, path)
        name = _typed(document.get("name"), str, f"{path}.name")
        if not _SLUG.match(name):
            raise _wrong(f"{path}.name", "it is not a stack's name")
        compose = _typed(document.get("compose"), str, f"{path}.compose")
        if len(compose) > MAX_COMPOSE:
            raise _wrong(f"{path}.compose", "it is too long")
        variables = _typed(document.get("env", {}), dict, f"{path}.env")
        if len(variables) > MAX_VARIABLES:
            raise _wrong(f"{path}.env", "it has too many variables")
        for key, value in variables.items():
            if not _VARIABLE.match(key) or not isinstance(value, str) or len(value) > MAX_VALUE:
                raise _wrong(f"{path}.env", f"{key!r} is no usable variable")
        return cls(
            deployment_id=_typed(document.get("deployment_id"), str, f"{path}.deployment_id"),
            name=name,
            version=_typed(document.get("version"), str, f"{path}.version"),
            compose=compose,
            environment=tuple(sorted(variables.items())),
        )

    def document(self) -> dict[str, Any]:
        """The inverse of `parse`."""
        return {
            "deployment_id": self.deployment_id,
            "name": self.name,
            "version": self.version,
            "compose": self.compose,
            "env": dict(self.environment),
        }


@dataclass(frozen=True)
class Target:
    """Everything this device should run, as of a revision."""

    revision: int
    stacks: tuple[Stack, ...]

    @classmethod
    def parse(cls, document: Any) -> Target:
        """A target from the server's JSON.

        :raises EdgetainerError: `protocol_violation` with the field. A target
            is taken whole or not at all.
        """
        document = _typed(document, dict, "target")
        revision = _typed(document.get("revision"), int, "revision")
        listed = _typed(document.get("stacks"), list, "stacks")
        if len(listed) > MAX_STACKS:
            raise _wrong("stacks", f"they are more than {MAX_STACKS}")
        stacks = tuple(Stack.parse(one, f"stacks[{at}]") for at, one in enumerate(listed))
        if len({stack.name for stack in stacks}) != len(stacks):
            raise _wrong("stacks", "two have the same name")
        return cls(revision=revision, stacks=stacks)

    def document(self) -> dict[str, Any]:
        """The inverse of `parse`."""
        return {"revision": self.revision, "stacks": [stack.document() for stack in self.stacks]}


@dataclass(frozen=True)
class Record:
    """What is known of a stack on this device.

    :ivar applied: False from the moment its containers may have been touched
        until all of `digest` was seen running.
    :ivar services: those seen running when it was applied.
    """

    digest: str
    applied: bool
    services: tuple[str, ...] = ()


class DeployStore:
    """The folder `deploy` in the agent's state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stacks = folder / "stacks"

    def open(self) -> None:
        """Make the folders and clear what killed writes left."""
        for folder in (self._folder, self._stacks):
            make_private_folder(folder)
        for folder in (self._folder, *self._stacks.iterdir()):
            sweep_temporaries(folder)

    def load_target(self) -> Target | None:
        """The saved target; None before the first, or if it is unreadable.

        A damaged target is no reason to stop what runs: the server has it.
        """
        try:
            return Target.parse(json.loads((self._folder / TARGET_FILE).read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EdgetainerError) as error:
            log.error("The saved target is damaged and waits for the server's: {why}", why=error)
            return None

    def save_target(self, target: Target) -> None:
        """Make it durable; only then may anything be done about it."""
        write_atomically(self._folder / TARGET_FILE, json.dumps(target.document()).encode())

    def known(self) -> frozenset[str]:
        """The stacks that this device ever began and has not taken down."""
        return frozenset(folder.name for folder in self._stacks.iterdir() if folder.is_dir())

    def record(self, name: str) -> Record | None:
        """What is known of a stack; None also if it is unreadable."""
        try:
            document = json.loads((self._stacks / name / RECORD_FILE).read_bytes())
            return Record(
                digest=str(document["digest"]),
                applied=document["applied"] is True,
                services=tuple(map(str, document["services"])),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write_release(self, stack: Stack) -> ReleaseFiles:
        """Put a release's files on disk, beside those of the one that runs."""
        home = self._stacks / stack.name
        folder = home / stack.digest[:16]
        make_private_folder(home)
        make_private_folder(folder)
        write_atomically(folder / COMPOSE_FILE, stack.compose.encode())
        lines = "".join(f"{key}={quote(value)}\n" for key, value in stack.environment)
        write_atomically(folder / ENVIRONMENT_FILE, lines.encode())
        return ReleaseFiles(home, folder / COMPOSE_FILE, folder / ENVIRONMENT_FILE)

    def write_record(self, name: str, record: Record) -> None:
        """Make it durable."""
        home = self._stacks / name
        make_private_folder(home)
        write_atomically(home / RECORD_FILE, json.dumps(asdict(record)).encode())

    def drop_other_releases(self, stack: Stack) -> None:
        """Remove the files of releases that no longer matter."""
        for folder in (self._stacks / stack.name).iterdir():
            # Only release folders: others belong to the stack's own mounts.
            if re.fullmatch(r"[0-9a-f]{16}", folder.name) and folder.name != stack.digest[:16]:
                shutil.rmtree(folder, ignore_errors=True)

    def forget(self, name: str) -> None:
        """Remove all that is known of a stack that was taken down."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._stacks / name)


@dataclass(frozen=True)
class ReleaseFiles:
    """Where Compose finds a release; relative mounts are relative to `home`."""

    home: Path
    compose: Path
    environment: Path


def quote(value: str) -> str:
    """A value as Compose's variables file wants it, every character kept."""
    for character, escaped in (
        ("\\", "\\\\"),
        ('"', '\\"'),
        ("$", "\\$"),
        ("\n", "\\n"),
        ("\r", "\\r"),
    ):
        value = value.replace(character, escaped)
    return f'"{value}"'


def _typed(value: Any, kind: type, path: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _wrong(path, f"it must be {kind.__name__}")
    return value


def _wrong(path: str, why: str) -> EdgetainerError:
    return EdgetainerError("protocol_violation", f"the desired state's {path}: {why}", field=path)
