"""Whether the server is up, for load balancers and scripts."""

from __future__ import annotations

from edgetainer.api.route import Call, Routes
from edgetainer.storage.database import Database


def add_routes(routes: Routes, *, database: Database) -> None:
    """Add `GET /api/health`; it asks the database, so it answers 503 without one."""

    @routes.get("/api/health", "health.read")
    async def health(call: Call) -> dict[str, str]:
        await database.read(lambda connection: None)
        return {"status": "ok"}
