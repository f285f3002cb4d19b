"""Which devices are here, and what they last said of themselves.

Two things tell: the switchboard, at once, when a tunnel comes or goes, and the
devices' heartbeats. Ten thousand devices must not be ten thousand transactions
a minute, so what is heard is kept in memory and written together, once a second;
who watches is told what changed, after it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from edgetainer.domain.access import DeviceIdentity, demand
from edgetainer.domain.presence import status
from edgetainer.errors import EdgetainerError
from edgetainer.services.devices import Devices
from edgetainer.storage import devices as stored
from edgetainer.storage import reports
from edgetainer.storage.database import Database
from edgetainer.storage.devices import Device
from edgetainer.switchboard import Switchboard

_log = Logger()

# Seconds between two writes: what a person takes for at once.
FLUSH_S = 1.0
# Devices in one transaction; the rest waits for the next.
BATCH = 1000


@dataclass
class _Heard:
    """What is known and not yet written about one device."""

    seen_at: datetime | None = None
    values: dict[str, Any] = field(default_factory=dict)  # columns of devices
    metrics: dict[str, Any] | None = None
    containers: list[dict[str, Any]] | None = None
    revision: int | None = None
    heard_at: datetime | None = None

    def followed_by(self, later: _Heard) -> _Heard:
        """Both together; what came later counts."""
        return _Heard(
            seen_at=later.seen_at or self.seen_at,
            values={**self.values, **later.values},
            metrics={**(self.metrics or {}), **(later.metrics or {})} or None,
            containers=self.containers if later.containers is None else later.containers,
            revision=self.revision if later.revision is None else later.revision,
            heard_at=later.heard_at or self.heard_at,
        )


class Presence:
    """Watches the switchboard and takes heartbeats.

    :param clock: for the pace of writing.
    :param now: the time.
    """

    def __init__(
        self,
        *,
        database: Database,
        switchboard: Switchboard,
        devices: Devices,
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._switchboard = switchboard
        self._devices = devices
        self._now = now
        self._pending: dict[str, _Heard] = {}
        self._writing: Deferred[None] | None = None
        self._loop = LoopingCall(self.flush)
        self._loop.clock = clock

    async def start(self) -> None:
        """Begin; devices that were here when the server last stopped are not any more."""
        self._switchboard.on_change.append(self._changed)
        for device_id in await self._database.read(stored.not_offline):
            self._pending.setdefault(device_id, _Heard())
        self._loop.start(FLUSH_S, now=False)

    async def stop(self) -> None:
        """Write what is left and stop."""
        if self._changed in self._switchboard.on_change:
            self._switchboard.on_change.remove(self._changed)
        if self._loop.running:
            self._loop.stop()
        while self._pending:
            left = len(self._pending)
            await self.flush()
            if len(self._pending) >= left:
                break

    def heartbeat(
        self,
        device: DeviceIdentity,
        *,
        address: str,
        metrics: dict[str, Any] | None = None,
        containers: list[dict[str, Any]] | None = None,
        agent_version: str | None = None,
        os_version: str | None = None,
        hardware_info: dict[str, Any] | None = None,
        revision: int | None = None,
    ) -> None:
        """Take what a device says of itself; None is nothing said. Written soon.

        :param address: where its tunnel comes from; "" when that is not known.
        """
        demand(device, "agent.report", owner=device.device_id)
        said = {
            "ip_address": address or None,
            "agent_version": agent_version,
            "os_version": os_version,
            "hardware_info": hardware_info,
        }
        now = self._now()
        self._hear(
            device.device_id,
            _Heard(
                seen_at=now,
                values={name: value for name, value in said.items() if value is not None},
                metrics=metrics,
                containers=containers,
                revision=revision,
                heard_at=now,
            ),
        )

    def refresh(self, device_id: str) -> None:
        """Something that the device's status follows from has changed."""
        self._hear(device_id, _Heard())

    def flush(self) -> Deferred[None]:
        """Write what was heard and tell who watches; fires when it is done, never fails."""
        if self._writing is None:
            if not self._pending:
                return succeed(None)
            self._writing = Deferred()
            writing = Deferred.fromCoroutine(self._flush())
            # A failure would stop the loop, and with it all news of all devices.
            writing.addErrback(lambda failure: _log.failure("telling of devices", failure))
            writing.addCallback(self._written)
        if self._writing is None:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._writing.addCallback(lambda _: waiting.callback(None))
        return waiting

    def _written(self, _result: None) -> None:
        writing, self._writing = self._writing, None
        assert writing is not None
        writing.callback(None)

    async def _flush(self) -> None:
        taken = {id_: self._pending.pop(id_) for id_ in list(self._pending)[:BATCH]}
        try:
            await self._write(taken)
        except EdgetainerError as error:
            _log.warn(
                "what {count} devices said is kept and tried again: {error}",
                count=len(taken),
                error=error,
            )
            self._keep(taken)
        except Exception:
            # What one device says must not silence the others for good.
            _log.failure("what {count} devices said is written one by one", count=len(taken))
            await self._write_singly(taken)

    async def _write(self, taken: dict[str, _Heard]) -> None:
        online = self._switchboard.online()
        changed = await self._database.run(lambda c: _store(c, taken, online))
        self._devices.tell(changed)
        for device in changed:
            if (listed := taken[device.id].containers) is not None:
                self._devices.tell_containers(device.id, total=len(listed))

    async def _write_singly(self, taken: dict[str, _Heard]) -> None:
        for id_, heard in taken.items():
            try:
                await self._write({id_: heard})
            except EdgetainerError:
                self._keep({id_: heard})
            except Exception:
                _log.failure("what device {device} said cannot be written", device=id_)

    def _keep(self, taken: dict[str, _Heard]) -> None:
        for id_, heard in taken.items():
            later = self._pending.get(id_)
            self._pending[id_] = heard.followed_by(later) if later else heard

    def _changed(self, device_id: str, online: bool) -> None:
        values: dict[str, Any] = {}
        if online:
            try:
                values["ip_address"] = self._switchboard.session(device_id).peer[0]
            except EdgetainerError:
                # It has gone again within this very turn.
                values = {}
        self._hear(device_id, _Heard(seen_at=self._now(), values=values))

    def _hear(self, device_id: str, heard: _Heard) -> None:
        before = self._pending.get(device_id)
        self._pending[device_id] = before.followed_by(heard) if before else heard


def _store(
    connection: Connection, heard: dict[str, _Heard], online: frozenset[str]
) -> list[Device]:
    """Write what was heard; the devices as they are now. Those deleted since are passed over."""
    # In one order always, so that two servers that write do not wait for each other.
    ids = sorted(heard)
    before = {device.id: device for device in stored.get_many(connection, ids)}
    states = stored.deployment_states_of(connection, ids)
    for id_ in ids:
        device = before.get(id_)
        if device is None:
            continue
        said = heard[id_]
        values = dict(said.values)
        if said.seen_at is not None:
            values["last_seen"] = said.seen_at
        values["status"] = status(
            online=id_ in online,
            ever_seen=device.last_seen is not None or said.seen_at is not None,
            deployments=states.get(id_, ()),
        ).value
        stored.observe(connection, id_, **values)
        if said.heard_at is not None:
            reports.store(
                connection,
                id_,
                metrics=said.metrics and {**(device.metrics or {}), **said.metrics},
                containers=said.containers,
                revision=said.revision,
                now=said.heard_at,
            )
    return stored.get_many(connection, [id_ for id_ in ids if id_ in before])
