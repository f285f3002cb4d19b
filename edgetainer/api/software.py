"""Software, its releases, and deploying them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from edgetainer.api.paging import Page, listed
from edgetainer.api.route import Call, Reply, Routes
from edgetainer.api.schemas import Id, Line, Prose, Schema
from edgetainer.domain.yaml import MAX_BYTES
from edgetainer.services.deployments import Deployments
from edgetainer.services.software import Catalogue, Version
from edgetainer.services.standing import document
from edgetainer.storage.software import Software

VersionName = Annotated[str, Meta(min_length=1, max_length=64)]


class Upload(Schema):
    """A compose file to deploy later."""

    name: Line
    # Characters; what is read is bounded in bytes again.
    compose: Annotated[str, Meta(min_length=1, max_length=MAX_BYTES)]
    version: VersionName | None = None
    notes: Prose | None = None


class Deploy(Schema):
    """Where a release should run."""

    device_id: Id | None = None
    fleet_id: Id | None = None
    version: VersionName | None = None
    pinned: bool = False


def add_routes(routes: Routes, *, catalogue: Catalogue, deployments: Deployments) -> None:
    """Add the routes below `/api/software`."""

    @routes.get("/api/software", "software.read", query=Page)
    async def list_software(call: Call) -> dict[str, Any]:
        page: Page = call.query
        found, total = await catalogue.page(call.user, limit=page.limit, offset=page.cursor)
        return listed([shown(software) for software in found], total, page)

    @routes.post("/api/software/upload", "software.write", body=Upload, status=201)
    async def upload_software(call: Call) -> dict[str, Any]:
        body: Upload = call.body
        software = await catalogue.upload(
            call.user,
            name=body.name,
            text=body.compose,
            version=body.version,
            notes=body.notes,
        )
        return shown(software)

    @routes.get("/api/software/<uuid:software_id>", "software.read")
    async def get_software(call: Call, software_id: str) -> dict[str, Any]:
        return shown(await catalogue.get(call.user, software_id))

    @routes.delete("/api/software/<uuid:software_id>", "software.delete")
    async def delete_software(call: Call, software_id: str) -> None:
        await catalogue.delete(call.user, software_id)

    @routes.get("/api/software/<uuid:software_id>/versions", "software.read", query=Page)
    async def list_versions(call: Call, software_id: str) -> dict[str, Any]:
        page: Page = call.query
        found, total = await catalogue.versions(
            call.user, software_id, limit=page.limit, offset=page.cursor
        )
        return listed([_version(version) for version in found], total, page)

    @routes.get("/api/software/<uuid:software_id>/versions/<string:version>", "software.read")
    async def get_version(call: Call, software_id: str, version: str) -> dict[str, Any]:
        found = await catalogue.version(call.user, software_id, version)
        return {**_version(found), "compose": found.release.compose}

    @routes.post(
        "/api/software/<uuid:software_id>/deploy", "deployments.write", body=Deploy, status=201
    )
    async def deploy(call: Call, software_id: str) -> Reply:
        body: Deploy = call.body
        deployment = await deployments.deploy(
            call.user,
            software_id,
            device_id=body.device_id,
            fleet_id=body.fleet_id,
            version=body.version,
            pinned=body.pinned,
        )
        return Reply(document(deployment))

    @routes.get("/api/software/<uuid:software_id>/deployments", "deployments.read", query=Page)
    async def list_deployments(call: Call, software_id: str) -> dict[str, Any]:
        page: Page = call.query
        found, total = await deployments.of_software(
            call.user, software_id, limit=page.limit, offset=page.cursor
        )
        return listed([document(deployment) for deployment in found], total, page)


def shown(software: Software) -> dict[str, Any]:
    """The Software document."""
    return dict(vars(software))


def _version(version: Version) -> dict[str, Any]:
    release = version.release
    return {
        "version": release.version,
        "digest": version.digest,
        "notes": release.notes,
        "services": version.services,
        "privileges": version.privileges or None,
        "created_by": release.created_by,
        "created_at": release.created_at,
    }
