"""The people who may sign in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from edgetainer.domain.access import SYSTEM, Principal, Role, demand
from edgetainer.errors import EdgetainerError
from edgetainer.services import passwords
from edgetainer.services.authentication import Authentication
from edgetainer.services.passwords import Passwords
from edgetainer.services.throttle import Throttle
from edgetainer.storage import audit, sessions
from edgetainer.storage import users as stored
from edgetainer.storage.database import Database, violated
from edgetainer.storage.users import User

FIRST_ADMIN = "admin"


class Users:
    """Use cases about people.

    :param authentication: is told when rights change.
    :param throttle: counts wrong present passwords; the one of `Authentication`.
    """

    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        authentication: Authentication,
        throttle: Throttle,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._authentication = authentication
        self._throttle = throttle
        self._now = now

    async def first_admin(self, keep: Callable[[str], None] = lambda _: None) -> str | None:
        """Create the first admin on an empty installation.

        :param keep: told the password before the user exists, so that a program
            killed in between leaves no admin whose password nobody has.
        :returns: the random password, known to nobody else and never again; None
            where there are users already.
        """
        if await self._database.read(stored.count):
            return None
        password = passwords.generate()
        hashed = await self._passwords.hash(password)
        keep(password)
        now = self._now()
        admin = User(str(uuid4()), FIRST_ADMIN, "admin@localhost", Role.ADMIN, now, now)

        def create(connection: Connection) -> bool:
            if stored.count(connection):
                return False
            stored.add(connection, admin, password_hash=hashed)
            audit.append(connection, SYSTEM, "users.create", now=now, target=("user", admin.id))
            return True

        try:
            return password if await self._database.run(create) else None
        except IntegrityError:
            # Another server of the installation was first.
            return None

    async def page(
        self, principal: Principal, *, limit: int, offset: int
    ) -> tuple[list[User], int]:
        """Some of all users in the order of names, and how many there are."""
        demand(principal, "users.list")
        return await self._database.read(lambda c: stored.page(c, limit=limit, offset=offset))

    async def get(self, principal: Principal, id: str) -> User:
        """One user; everybody may see themselves.

        :raises EdgetainerError: `not_found`.
        """
        demand(principal, "users.read", owner=id)
        return _found(await self._database.read(lambda c: stored.get(c, id)), id)

    async def create(
        self, principal: Principal, *, username: str, email: str, password: str, role: Role
    ) -> User:
        """A new user.

        :raises EdgetainerError: `already_exists`, `invalid_field`.
        """
        demand(principal, "users.create")
        now = self._now()
        user = User(str(uuid4()), username.lower(), email.lower(), role, now, now)
        _accept(password, user)
        hashed = await self._passwords.hash(password)

        def create(connection: Connection) -> None:
            stored.add(connection, user, password_hash=hashed)
            target, detail = ("user", user.id), {"role": role.value}
            audit.append(
                connection, principal, "users.create", now=now, target=target, detail=detail
            )

        try:
            await self._database.run(create)
        except IntegrityError as error:
            raise _taken(error) from error
        return user

    async def update(
        self,
        principal: Principal,
        id: str,
        *,
        username: str | None = None,
        email: str | None = None,
        role: Role | None = None,
        password: str | None = None,
        current_password: str | None = None,
    ) -> User:
        """Change what is given; None leaves a field as it is.

        Everybody may change their own address and, with their present password,
        their password. Names and roles are for admins, except that the last
        admin stays one.

        :raises EdgetainerError: `not_found`, `already_exists`, `invalid_field`, `in_use`.
        """
        demand(principal, "users.update", owner=id)
        if role is not None or username is not None:
            demand(principal, "users.set_role")
        before = await self.get(principal, id)
        values: dict[str, str] = {}
        if username is not None:
            values["username"] = username.lower()
        if email is not None:
            values["email"] = email.lower()
        if role is not None:
            values["role"] = role.value
        if password is not None:
            if id == principal.user_id:
                await self._confirm(principal, current_password)
            _accept(password, before)
            values["password_hash"] = await self._passwords.hash(password)
        now = self._now()

        def change(connection: Connection) -> User:
            admins = stored.lock_admins(connection)
            user = _found(stored.get(connection, id, lock=True), id)
            if role not in (None, Role.ADMIN) and user.role is Role.ADMIN and admins == 1:
                raise EdgetainerError("in_use", "This is the last admin.", field="role")
            stored.change(connection, id, now=now, **values)
            if password is not None:
                keep = principal.session_id if id == principal.user_id else None
                sessions.revoke_of_user(connection, id, now=now, keep=keep)
            fields = sorted("password" if name == "password_hash" else name for name in values)
            target, detail = ("user", id), {"fields": fields}
            audit.append(
                connection, principal, "users.update", now=now, target=target, detail=detail
            )
            return _found(stored.get(connection, id), id)

        try:
            changed = await self._database.run(change)
        except IntegrityError as error:
            raise _taken(error) from error
        if values.keys() - {"email"}:
            self._authentication.end_user(id)
        return changed

    async def remove(self, principal: Principal, id: str) -> None:
        """Delete a user; they are out at once.

        :raises EdgetainerError: `not_found`, `in_use` for the last admin.
        """
        demand(principal, "users.delete")
        now = self._now()

        def remove(connection: Connection) -> None:
            admins = stored.lock_admins(connection)
            user = _found(stored.get(connection, id, lock=True), id)
            if user.role is Role.ADMIN and admins == 1:
                raise EdgetainerError("in_use", "This is the last admin.")
            stored.remove(connection, id)
            target, detail = ("user", id), {"username": user.username}
            audit.append(
                connection, principal, "users.delete", now=now, target=target, detail=detail
            )

        await self._database.run(remove)
        self._authentication.end_user(id)

    async def _confirm(self, principal: Principal, password: str | None) -> None:
        """That it is really them, and not somebody at their open browser."""
        if password is None:
            raise EdgetainerError(
                "invalid_field", "Send your present password too.", field="current_password"
            )
        # Not the key of signing in: strangers who guess there do not count here.
        keys = [f"confirm:{principal.user_id}"]
        self._throttle.attempt(keys)
        known = await self._database.read(lambda c: stored.password_hash(c, principal.user_id))
        if not await self._passwords.check(password, known):
            raise EdgetainerError(
                "invalid_field", "This is not your present password.", field="current_password"
            )
        self._throttle.forgive(keys)


def _accept(password: str, user: User) -> None:
    reason = passwords.problem(password, username=user.username, email=user.email)
    if reason is not None:
        raise EdgetainerError("invalid_field", reason, field="password")


def _found(user: User | None, id: str) -> User:
    if user is None:
        raise EdgetainerError("not_found", f"There is no user {id}.")
    return user


def _taken(error: IntegrityError) -> Exception:
    field = {"users.username": "username", "users.email": "email"}.get(violated(error) or "")
    if field is None:
        return error
    return EdgetainerError("already_exists", f"Another user has this {field}.", field=field)
