"""People."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from edgetainer.api.paging import Page, listed
from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import UNSET, Schema, UnsetType, given
from edgetainer.domain.access import Role
from edgetainer.services.users import Users

Username = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\Z")]
# Length and quality are judged by the service, which can say why.
Password = Annotated[str, Meta(max_length=1024)]


class NewUser(Schema):
    """A user to create."""

    username: Username
    email: Email
    password: Password
    role: Role


class UserChange(Schema):
    """What to change of a user."""

    username: Username | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    # Needed to change one's own password.
    current_password: Password | UnsetType = UNSET


def add_routes(routes: Routes, *, users: Users) -> None:
    """Add the routes below `/api/users`."""

    @routes.get("/api/users", "users.list", query=Page)
    async def list_users(call: Call) -> dict[str, Any]:
        page: Page = call.query
        found, total = await users.page(call.user, limit=page.limit, offset=page.cursor)
        return listed(found, total, page)

    @routes.post("/api/users", "users.create", body=NewUser, status=201)
    async def create_user(call: Call) -> Any:
        body: NewUser = call.body
        return await users.create(
            call.user,
            username=body.username,
            email=body.email,
            password=body.password,
            role=body.role,
        )

    @routes.get("/api/users/<uuid:user_id>", "users.read", owner="user_id")
    async def get_user(call: Call, user_id: str) -> Any:
        return await users.get(call.user, user_id)

    @routes.put("/api/users/<uuid:user_id>", "users.update", owner="user_id", body=UserChange)
    async def update_user(call: Call, user_id: str) -> Any:
        return await users.update(call.user, user_id, **given(call.body))

    @routes.delete("/api/users/<uuid:user_id>", "users.delete")
    async def delete_user(call: Call, user_id: str) -> None:
        await users.remove(call.user, user_id)
