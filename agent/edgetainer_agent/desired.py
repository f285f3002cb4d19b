"""Pulling the desired state: what to run and which doors may be opened.

Asked at each connection, at each ring and now and then, always with the tag of
the last answer, so that "nothing changed" costs a few bytes and a lost ring
costs nothing.
"""

from __future__ import annotations

import json
import random as random_module
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from edgetainer.errors import EdgetainerError
from edgetainer_agent.deploy.store import Target
from edgetainer_agent.durable import write_atomically
from edgetainer_agent.loop import Loop

log = Logger()

CONFIG_PATH = "/api/agent/config"
SOFTWARE_PATH = "/api/agent/software"
#: Seconds until a failed pull is repeated: full jitter up to this.
RETRY_S = 30.0
#: Doors of one device.
MAX_DOORS = 1_000
#: Seconds between heartbeats, whatever the server says.
MIN_HEARTBEAT_S, MAX_HEARTBEAT_S = 1.0, 86_400.0


@dataclass(frozen=True)
class Configuration:
    """How the device should behave, as of a revision."""

    revision: int
    heartbeat_s: float
    doors: frozenset[tuple[str, int]]

    @classmethod
    def parse(cls, document: Any) -> Configuration:
        """From the server's JSON; raises `protocol_violation`."""
        try:
            doors = document["doors"]
            if len(doors) > MAX_DOORS:
                raise ValueError(f"more than {MAX_DOORS} doors")
            parsed = cls(
                revision=_integer(document["revision"]),
                heartbeat_s=heartbeat_interval(document["heartbeat_s"]),
                doors=frozenset((_text(door["service"]), _integer(door["port"])) for door in doors),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EdgetainerError(
                "protocol_violation", f"the configuration cannot be used: {error!r}"
            ) from error
        return parsed

    def document(self) -> dict[str, Any]:
        """The inverse of `parse`."""
        return {
            "revision": self.revision,
            "heartbeat_s": self.heartbeat_s,
            "doors": [{"service": service, "port": port} for service, port in sorted(self.doors)],
        }


class ConfigurationFile:
    """The newest configuration on disk, for the time from a start to the first pull.

    Without it the doors of a device that was just started would be shut, also
    while its server can keep a session but not answer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved: Configuration | None = None

    def load(self) -> Configuration | None:
        """What was saved; None if there is nothing that can be used."""
        try:
            self._saved = Configuration.parse(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EdgetainerError) as error:
            log.warn("The saved configuration waits for the server's: {why}", why=error)
        return self._saved

    def save(self, configuration: Configuration) -> None:
        """Keep it. Without room it is still in force, so that is only logged."""
        if configuration == self._saved:
            return
        try:
            write_atomically(self._path, json.dumps(configuration.document()).encode())
            self._saved = configuration
        except OSError as error:
            log.warn("The configuration cannot be saved: {why}", why=error)


class Puller:
    """Keeps what the server wants up to date while there is a connection.

    :param request: as `Dialer.request`.
    :param on_configuration: called with each new configuration.
    :param on_target: called with each new target.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        request: Callable[..., Deferred[Any]],
        on_configuration: Callable[[Configuration], None],
        on_target: Callable[[Target], None],
        random: Callable[[float, float], float] = random_module.uniform,
    ) -> None:
        self._request = request
        self._takers: tuple[tuple[str, Callable[[Any], None]], ...] = (
            (CONFIG_PATH, lambda document: on_configuration(Configuration.parse(document))),
            (SOFTWARE_PATH, lambda document: on_target(Target.parse(document))),
        )
        self._tags: dict[str, bytes] = {}
        self._loop = Loop(
            clock=clock,
            name="Desired state",
            once=self._pull,
            on_failure=lambda: random(0.0, RETRY_S),
        )

    def pull(self) -> None:
        """Look now; a look that is under way is followed by another."""
        self._loop.wake()

    def stop(self) -> None:
        """The connection is gone; `pull` begins again."""
        self._loop.stop()

    async def _pull(self) -> None:
        for path, take in self._takers:
            await self._look(path, take)

    async def _look(self, path: str, take: Callable[[Any], None]) -> None:
        tag = self._tags.get(path)
        headers = [] if tag is None else [(b"if-none-match", tag)]
        answer = await self._request("GET", path, headers=headers)
        if answer.status == 304:
            return
        if answer.status != 200:
            raise EdgetainerError("unavailable", f"{path} was answered {answer.status}.")
        try:
            document = json.loads(answer.body)
        except ValueError as error:
            raise EdgetainerError("protocol_violation", f"{path} is not JSON.") from error
        take(document)
        # Only now: what could not be taken must be sent again.
        new_tag = answer.header(b"etag")
        if new_tag is None:
            self._tags.pop(path, None)
        else:
            self._tags[path] = new_tag


def heartbeat_interval(value: Any) -> float:
    """The server's word for the seconds between heartbeats, kept within reason.

    :raises TypeError: it is not a number. :raises ValueError: it is none in use.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if value != value:
        raise ValueError("not a number")
    # Bounded before it is made a float, which has no room for every integer.
    return float(min(MAX_HEARTBEAT_S, max(MIN_HEARTBEAT_S, value)))


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not an integer")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
