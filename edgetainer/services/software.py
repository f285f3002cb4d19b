"""Software and its releases: uploading, listing, deleting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from edgetainer.domain import compose, releases
from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.storage import audit
from edgetainer.storage import releases as stored_releases
from edgetainer.storage import software as stored_software
from edgetainer.storage.database import Database, violated
from edgetainer.storage.releases import Release
from edgetainer.storage.software import Software


@dataclass(frozen=True)
class Version:
    """A release with what its compose file asks for.

    :param privileges: what of it only an admin may deploy, "" for nothing.
    """

    release: Release
    digest: str
    services: tuple[compose.Service, ...]
    privileges: str


class Catalogue:
    """The software that can be deployed.

    :param now: tells the time, aware.
    """

    def __init__(self, *, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def upload(
        self,
        principal: Principal,
        *,
        name: str,
        text: str,
        version: str | None = None,
        notes: str | None = None,
    ) -> Software:
        """Make a compose file the current release of the software called `name`.

        The software is made where there is none. Uploading a file again that a
        version already has changes nothing, so that a repeated request is
        harmless; without a version the current file counts.

        :raises EdgetainerError: `compose_invalid`; `forbidden`, the file has
            privileges and the caller may not give them; `already_exists`, the
            version has another file or the name is too like another's.
        """
        demand(principal, "software.write")
        slug = releases.slug(name)
        if version is not None:
            releases.check_version(version)
        allow(principal, compose.parse(text))
        now = self._now()

        def store(connection: Connection) -> Software:
            found = stored_software.by_name(connection, name)
            if found is None:
                id_ = str(uuid4())
                stored_software.add(connection, id=id_, name=name, slug=slug, now=now)
                versions: tuple[str, ...] = ()
            else:
                id_, versions = found.id, found.versions
                known = version or found.current_version
                same = known and stored_releases.get(connection, id_, known)
                if same and same.compose == text:
                    return found
            release = Release(
                id=str(uuid4()),
                software_id=id_,
                version=version or releases.next_version(versions),
                compose=text,
                notes=notes,
                created_by=principal.user_id,
                created_at=now,
            )
            stored_releases.add(connection, release)
            stored_software.set_current(connection, id_, release.version, now=now)
            audit.append(
                connection,
                principal,
                "software.upload",
                target=("software", id_),
                detail={"version": release.version, "digest": releases.digest(text)},
                now=now,
            )
            made = stored_software.get(connection, id_)
            assert made is not None
            return made

        try:
            return await self._database.run(store)
        except IntegrityError as error:
            raise _taken(error, name, version) from error

    async def page(
        self, principal: Principal, *, limit: int, offset: int
    ) -> tuple[list[Software], int]:
        """Some of all software by name, and how many there are."""
        demand(principal, "software.read")
        return await self._database.read(
            lambda connection: stored_software.page(connection, limit=limit, offset=offset)
        )

    async def get(self, principal: Principal, id: str) -> Software:
        """One software.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "software.read")
        found = await self._database.read(lambda connection: stored_software.get(connection, id))
        if found is None:
            raise unknown(id)
        return found

    async def versions(
        self,
        principal: Principal,
        id: str,
        *,
        limit: int,
        offset: int,
    ) -> tuple[list[Version], int]:
        """Some of a software's releases, the newest first, and how many there are.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "software.read")

        def read(connection: Connection) -> tuple[list[Version], int]:
            if stored_software.get(connection, id) is None:
                raise unknown(id)
            found, total = stored_releases.page(connection, id, limit=limit, offset=offset)
            # Here, in the database's thread: hundreds of compose files take seconds to read.
            return [_described(release) for release in found], total

        return await self._database.read(read)

    async def version(self, principal: Principal, id: str, version: str) -> Version:
        """One release of a software.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "software.read")
        release = await self._database.read(
            lambda connection: stored_releases.get(connection, id, version)
        )
        if release is None:
            raise EdgetainerError("not_found", f"The software has no version {version}.")
        return _described(release)

    async def delete(self, principal: Principal, id: str) -> None:
        """Delete a software with all its releases.

        :raises EdgetainerError: `not_found`; `in_use` while it is deployed somewhere.
        """
        demand(principal, "software.delete")
        now = self._now()

        def remove(connection: Connection) -> None:
            found = stored_software.get(connection, id, lock=True)
            if found is None:
                raise unknown(id)
            uses = stored_software.uses(connection, id)
            if uses:
                raise EdgetainerError(
                    "in_use",
                    f"{found.name} is deployed to {uses} fleet(s) or device(s); "
                    "end those deployments first.",
                )
            stored_software.remove(connection, id)
            audit.append(
                connection,
                principal,
                "software.delete",
                target=("software", id),
                detail={"name": found.name},
                now=now,
            )

        try:
            await self._database.run(remove)
        except IntegrityError as error:
            # Deployed between the two statements.
            raise EdgetainerError("in_use", "The software was deployed just now.") from error


def allow(principal: Principal, file: compose.Compose) -> None:
    """Refuse a file whose privileges the caller may not give.

    :raises EdgetainerError: `forbidden`, naming each privilege.
    """
    if not file.privileges:
        return
    try:
        demand(principal, "software.privileged")
    except EdgetainerError as error:
        raise EdgetainerError(
            error.code,
            f"{error.detail} It reaches the device's host: {file.explain_privileges()}.",
            field=file.privileges[0].path,
        ) from error


def unknown(id: str) -> EdgetainerError:
    """The error for a software that is not there."""
    return EdgetainerError("not_found", f"There is no software {id}.")


def _described(release: Release) -> Version:
    try:
        file = compose.parse(release.compose)
    except EdgetainerError:
        # Stored under older rules: it can be looked at, and deploying says what is wrong.
        file = compose.Compose(services=(), privileges=())
    return Version(
        release=release,
        digest=releases.digest(release.compose),
        services=file.services,
        privileges=file.explain_privileges(),
    )


def _taken(error: IntegrityError, name: str, version: str | None) -> EdgetainerError:
    key = violated(error)
    if key == "releases.software_id,version":
        return EdgetainerError(
            "already_exists",
            f"{name} has a version {version} with another file; choose a new version.",
            field="version",
        )
    if key in {"software.name", "software.slug"}:
        return EdgetainerError(
            "already_exists",
            f"{name} has the same name on devices as another software; choose another.",
            field="name",
        )
    raise error
