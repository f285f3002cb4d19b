"""Insight: how a device's connection fares, and a record of its packets on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.quic.qlog import Recording
from edgetainer.services.devices import Devices
from edgetainer.storage import audit
from edgetainer.storage.database import Database
from edgetainer.switchboard import Switchboard
from edgetainer.tunnel.session import Session

# Seconds that one record may span.
MAX_SECONDS = 300
# Records kept, running ones among them; each takes some 3 MB at most.
MAX_RECORDS = 4


@dataclass(frozen=True, kw_only=True)
class SessionInsight:
    """A device's session as the server sees it at this moment.

    :param reconnects: sessions of the device before this one since the server started.
    :param rate: bytes a second; None where the controller sets a window only.
    """

    profile: str
    keepalive_s: float | None
    carrier: str
    peer: str
    connected_s: float
    silent_s: float
    reconnects: int
    migrations: int
    channels: int
    rtt_s: float | None
    min_rtt_s: float | None
    loss: float
    packets_sent: int
    packets_lost: int
    rate: float | None
    congestion_window: int
    bytes_in_flight: int
    bytes_sent: int
    bytes_received: int
    datagrams_sent: int
    datagrams_received: int
    datagram_size: int
    sent_by_class: dict[str, int]
    received_by_class: dict[str, int]


@dataclass
class _Record:
    recording: Recording
    session: Session
    ending: IDelayedCall | None


class Insight:
    """Use cases about live connections.

    :param clock: the one by which sessions are timed.
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
        self._clock = clock
        self._now = now
        self._records: dict[str, _Record] = {}

    async def session(self, principal: Principal, id: str) -> SessionInsight:
        """How the device's connection fares.

        :raises EdgetainerError: `not_found`, `device_offline`.
        """
        demand(principal, "devices.read")
        await self._devices.get(principal, id)
        session = self._switchboard.session(id)
        numbers, seconds = session.statistics(), self._clock.seconds()
        return SessionInsight(
            profile=session.profile.name,
            keepalive_s=session.keepalive_s,
            carrier=numbers.carrier,
            peer=session.peer[0],
            connected_s=max(0.0, seconds - session.opened_at),
            silent_s=max(0.0, seconds - session.last_received),
            reconnects=self._switchboard.sessions_of(id) - 1,
            migrations=numbers.migrations,
            channels=session.channels,
            rtt_s=numbers.rtt,
            min_rtt_s=numbers.min_rtt,
            loss=numbers.loss,
            packets_sent=numbers.packets_sent,
            packets_lost=numbers.packets_lost,
            rate=numbers.rate,
            congestion_window=numbers.congestion_window,
            bytes_in_flight=numbers.bytes_in_flight,
            bytes_sent=numbers.bytes_sent,
            bytes_received=numbers.bytes_received,
            datagrams_sent=numbers.datagrams_sent,
            datagrams_received=numbers.datagrams_received,
            datagram_size=numbers.datagram_size,
            sent_by_class=_named(numbers.sent_by_class),
            received_by_class=_named(numbers.received_by_class),
        )

    async def record(self, principal: Principal, id: str, seconds: int) -> None:
        """Record the packets of the device's connection for so many seconds, from now.

        :raises EdgetainerError: `not_found`, `device_offline`; `in_use`, one is
            running, or too many are.
        """
        demand(principal, "devices.record")
        await self._devices.get(principal, id)
        session = self._startable(id)
        now, target = self._now(), ("device", id)

        def write(connection: Connection) -> None:
            audit.append(
                connection,
                principal,
                "devices.record",
                now=now,
                target=target,
                detail={"seconds": seconds},
            )

        await self._database.run(write)
        session = self._startable(id)
        recording = session.connection.start_recording()
        ending = self._clock.callLater(seconds, self._end, id)
        self._records.pop(id, None)
        self._records[id] = _Record(recording, session, ending)
        session.notify_close().addCallback(lambda _: self._ended(id, recording))

    async def recorded(self, principal: Principal, id: str) -> bytes:
        """The device's last record, a gzip file of qlog's JSON text sequence.

        :raises EdgetainerError: `not_found`; `in_use` while it is running.
        """
        demand(principal, "devices.record")
        record = self._records.get(id)
        if record is None:
            raise EdgetainerError("not_found", "Nothing was recorded of this device.")
        if record.ending is not None:
            raise EdgetainerError("in_use", "It is still being recorded; ask again when it ended.")
        return record.recording.finish()

    def _startable(self, id: str) -> Session:
        session = self._switchboard.session(id)
        running = {one for one, record in self._records.items() if record.ending is not None}
        if id in running:
            raise EdgetainerError("in_use", "This device is being recorded already.")
        if len(running) >= MAX_RECORDS:
            raise EdgetainerError("in_use", f"{MAX_RECORDS} devices are being recorded already.")
        if len(self._records) >= MAX_RECORDS and id not in self._records:
            # The oldest of those that ended; nobody has asked for it since.
            del self._records[next(one for one in self._records if one not in running)]
        return session

    def _ended(self, id: str, recording: Recording) -> None:
        record = self._records.get(id)
        if record is not None and record.recording is recording and record.ending is not None:
            record.ending.cancel()
            self._end(id)

    def _end(self, id: str) -> None:
        record = self._records[id]
        record.ending = None
        record.session.connection.stop_recording()
        record.recording.finish()


def _named(counts: Any) -> dict[str, int]:
    return {one.name.lower(): count for one, count in counts.items()}
