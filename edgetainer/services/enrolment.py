"""How a device becomes one of ours: a token once, its key from then on.

A token is 256 random bits, shown once and stored hashed. Registering spends one
of its uses, creates the device and accepts its key, in one transaction. The
same token with the same key is answered the same again, so a reply that was
lost or an agent that was killed before saving costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from twisted.logger import Logger

from edgetainer.domain.access import DeviceIdentity, Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.services import opaque
from edgetainer.services.authority import TUNNEL_NAME, Authority, Request, read_request
from edgetainer.services.devices import Devices, place
from edgetainer.services.identities import Identities
from edgetainer.storage import audit, devices, enrolment_tokens, keys
from edgetainer.storage.database import Database, violated
from edgetainer.storage.enrolment_tokens import EnrolmentToken
from edgetainer.storage.keys import DeviceKey

_log = Logger()

# So that people and scanners recognise a leaked one.
_PREFIX = "edgt_"
# Devices that race for one name try again with another; each try is a transaction.
_ATTEMPTS = 5


@dataclass(frozen=True)
class Hello:
    """What a device says of itself when it registers."""

    hostname: str
    os_version: str | None = None
    agent_version: str | None = None
    hardware_info: dict[str, Any] | None = None


@dataclass(frozen=True)
class Enrolled:
    """What a device needs from then on.

    :param tunnel_addresses: `host:port` of the tunnel's listeners.
    """

    device_id: str
    certificate: str
    ca: str
    tunnel_addresses: tuple[str, ...]
    tunnel_server_name: str


@dataclass(frozen=True)
class _Outcome:
    device_id: str
    certificate: str
    created: bool
    retired: bool  # an older key of the device was revoked


class Enrolment:
    """Use cases about tokens and registration."""

    def __init__(
        self,
        *,
        database: Database,
        authority: Authority,
        identities: Identities,
        devices: Devices,
        tunnel_addresses: Sequence[str],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._authority = authority
        self._identities = identities
        self._devices = devices
        self._tunnel_addresses = tuple(tunnel_addresses)
        self._now = now

    async def create_token(
        self,
        principal: Principal,
        *,
        uses: int,
        expires_in: timedelta,
        fleet_id: str | None = None,
        device_id: str | None = None,
        description: str | None = None,
    ) -> tuple[EnrolmentToken, str]:
        """A new token and its text, which is not stored and cannot be shown again.

        :param fleet_id: the fleet that its devices join.
        :param device_id: the one expected device that it is for.
        :raises EdgetainerError: `invalid_field` when there is no such fleet or device.
        """
        demand(principal, "provision.tokens")
        if device_id is not None and (fleet_id is not None or uses != 1):
            raise EdgetainerError(
                "invalid_field",
                "A token for one device has one use and no fleet.",
                field="device_id",
            )
        now, text = self._now(), _PREFIX + opaque.new()
        token = EnrolmentToken(
            id=str(uuid4()),
            description=description,
            fleet_id=fleet_id,
            device_id=device_id,
            uses=uses,
            uses_left=uses,
            expires_at=now + expires_in,
            created_at=now,
        )

        def create(connection: Connection) -> None:
            by = principal.user_id or None
            enrolment_tokens.add(connection, token, token_hash=opaque.hashed(text), created_by=by)
            target, detail = ("enrolment_token", token.id), {"uses": uses}
            audit.append(
                connection, principal, "provision.create", now=now, target=target, detail=detail
            )

        try:
            await self._database.run(create)
        except IntegrityError as error:
            field = "fleet_id" if device_id is None else "device_id"
            raise EdgetainerError(
                "invalid_field", f"There is no such {field}.", field=field
            ) from error
        return token, text

    async def tokens(
        self, principal: Principal, *, limit: int, offset: int
    ) -> tuple[list[EnrolmentToken], int]:
        """Some of all tokens, the newest first, and how many there are."""
        demand(principal, "provision.tokens")
        return await self._database.read(
            lambda c: enrolment_tokens.page(c, limit=limit, offset=offset)
        )

    async def remove_token(self, principal: Principal, id: str) -> None:
        """Delete a token; the devices that it enrolled stay.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "provision.tokens")
        now = self._now()

        def remove(connection: Connection) -> None:
            if not enrolment_tokens.remove(connection, id):
                raise EdgetainerError("not_found", f"There is no enrolment token {id}.")
            target = ("enrolment_token", id)
            audit.append(connection, principal, "provision.delete", now=now, target=target)

        await self._database.run(remove)

    async def register(self, token: str, csr: str, hello: Hello, *, address: str) -> Enrolled:
        """Make a device of whoever holds the token and the key of the request.

        :raises EdgetainerError: `csr_invalid`, `token_unknown`, `token_expired`,
            `token_used`, `certificate_refused` when the key was revoked.
        """
        hashed = opaque.hashed(token)
        # Strangers get no further than this: neither to the one who may write
        # (SQLite has one) nor to the reader of certificate requests.
        if not await self._database.read(lambda c: enrolment_tokens.exists(c, hashed)):
            raise EdgetainerError("token_unknown")
        request = read_request(csr)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                outcome = await self._database.run(
                    lambda c: self._register(c, token, request, hello, address)
                )
                break
            except IntegrityError as error:
                # Another device took the name between our look and our write.
                if violated(error) is None or attempt == _ATTEMPTS:
                    raise
        if outcome.retired:
            self._identities.revoke(outcome.device_id)
            self._devices.disconnect(
                outcome.device_id, "The device was enrolled again with another key."
            )
        await self._identities.accept(request.spki_sha256, outcome.device_id)
        if outcome.created:
            _log.info("device {device} enrolled from {address}", device=outcome.device_id,
                      address=address)  # fmt: skip
            await self._devices.announce(outcome.device_id)
        return Enrolled(
            device_id=outcome.device_id,
            certificate=outcome.certificate,
            ca=self._authority.ca_pem,
            tunnel_addresses=self._tunnel_addresses,
            tunnel_server_name=TUNNEL_NAME,
        )

    def _register(
        self, connection: Connection, text: str, request: Request, hello: Hello, address: str
    ) -> _Outcome:
        now, spki = self._now(), request.spki_sha256
        token = enrolment_tokens.by_hash(connection, opaque.hashed(text))
        if token is None:
            raise EdgetainerError("token_unknown")
        key = keys.get(connection, spki)
        if key is not None and key.revoked_at is not None:
            raise EdgetainerError(
                "certificate_refused", "This device's key was revoked; enrol it with a new key."
            )
        before = enrolment_tokens.enrolled(connection, token_id=token.id, spki_sha256=spki)
        if before is not None and key is not None:
            # Asked again: the token's time and uses no longer matter.
            return _Outcome(before, key.certificate, created=False, retired=False)
        if token.expires_at <= now:
            raise EdgetainerError("token_expired")
        if not enrolment_tokens.use(connection, token.id):
            raise EdgetainerError("token_used")
        device_id, retired = self._place(connection, token, key, spki, hello, now)
        issued = self._authority.issue(request, device_id)
        if key is None:
            accepted = DeviceKey(
                str(uuid4()), device_id, spki, issued.certificate, issued.expires_at, now, None
            )
            keys.add(connection, accepted)
        else:
            keys.renew(
                connection, spki, certificate=issued.certificate, expires_at=issued.expires_at
            )
        enrolment_tokens.add_enrolment(
            connection, token_id=token.id, spki_sha256=spki, device_id=device_id, now=now
        )
        devices.observe(connection, device_id, **_described(hello))
        who = DeviceIdentity(device_id, spki)
        target, detail = ("device", device_id), {"token": token.id}
        audit.append(
            connection, who, "provision.register", now=now, target=target, detail=detail,
            address=address,
        )  # fmt: skip
        return _Outcome(device_id, issued.certificate, created=True, retired=retired)

    def _place(
        self,
        connection: Connection,
        token: EnrolmentToken,
        key: DeviceKey | None,
        spki: str,
        hello: Hello,
        now: datetime,
    ) -> tuple[str, bool]:
        """The row of the device: the expected one, the key's own, or a new one."""
        if token.device_id is not None:
            if key is not None and key.device_id != token.device_id:
                raise EdgetainerError("already_exists", "This key belongs to another device.")
            if key is not None:
                return token.device_id, False
            return token.device_id, keys.revoke(connection, token.device_id, now=now) > 0
        if key is not None:
            return key.device_id, False
        created = place(
            connection,
            # The host name says more to people; the key's fingerprint keeps two apart.
            device_ids=[hello.hostname, f"{hello.hostname}-{spki[:8]}"],
            name=hello.hostname,
            fleet_id=token.fleet_id,
            now=now,
        )
        return created, False


def _described(hello: Hello) -> dict[str, Any]:
    said = {
        "os_version": hello.os_version,
        "agent_version": hello.agent_version,
        "hardware_info": hello.hardware_info,
    }
    return {name: value for name, value in said.items() if value is not None}
