"""Signing in, staying signed in, signing out.

A sign-in is a session in the database. The browser holds two things of it: an
access token for ten minutes, which is checked without the database, and a
refresh token in a cookie, which is used once and replaced. A refresh token that
comes a second time has been stolen from somebody: the whole session ends.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from edgetainer.domain.access import Principal
from edgetainer.errors import EdgetainerError
from edgetainer.services import opaque
from edgetainer.services.access_tokens import LIFE, AccessTokens, Claims
from edgetainer.services.passwords import Passwords
from edgetainer.services.throttle import Throttle, address_key
from edgetainer.storage import audit, sessions, users
from edgetainer.storage.database import Database
from edgetainer.storage.users import User

_log = Logger()

# A session ends when it was not used for this long, and in any case after that.
IDLE = timedelta(days=14)
LONGEST = timedelta(days=90)
# A refresh whose reply is lost on the way is asked again with the same token;
# within this time that is taken for what it is, later for theft.
GRACE = timedelta(seconds=10)
# Sessions known in memory, some 500 bytes each.
KNOWN_LIMIT = 10_000


@dataclass(frozen=True)
class SignedIn:
    """What a browser gets."""

    access_token: str
    expires_in_s: int
    refresh_token: str
    user: User


class Authentication:
    """Who is asking.

    What lasts longer than a request asks `still` every few seconds.

    :param throttle: counts attempts to sign in, per address and per account.
    """

    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        tokens: AccessTokens,
        throttle: Throttle,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._tokens = tokens
        self._throttle = throttle
        self._now = now
        self._known: OrderedDict[str, Principal] = OrderedDict()
        self._generation = 0

    async def login(
        self, username: str, password: str, *, address: str, user_agent: str | None = None
    ) -> SignedIn:
        """Begin a session.

        :raises EdgetainerError: `invalid_credentials`, whichever of the two is
            wrong; `too_many_attempts`.
        """
        username, place = username.strip().lower(), address_key(address)
        # Of one account from one place, and of all accounts from one place.
        keys = [f"account:{username}@{place}", f"address:{place}"]
        self._throttle.attempt(keys)
        found, usual = await self._database.read(lambda c: _known_at(c, username, place))
        if not usual:
            # Of one account from everywhere. Whoever guesses elsewhere could keep
            # people out with it, so it is not counted where they signed in before.
            everywhere = f"account:{username}"
            self._throttle.attempt([everywhere])
            keys.append(everywhere)
        good = await self._passwords.check(password, found[1] if found else None)
        if found is None or not good:
            _log.info("sign-in refused for {address}", address=address)
            if found is not None:
                # Not waited for: the time would tell that there is such a user.
                Deferred.fromCoroutine(self._note_refusal(found[0], address)).addErrback(
                    lambda failure: _log.failure("refusal not noted", failure)
                )
            raise EdgetainerError("invalid_credentials")
        self._throttle.forgive(keys)
        user, checked = found
        session_id, refresh_token, now = str(uuid4()), opaque.new(), self._now()

        def begin(connection: Connection) -> None:
            if users.password_hash(connection, user.id) != checked:
                # Changed, or the user deleted, while the password was being checked.
                raise EdgetainerError("invalid_credentials")
            sessions.forget_expired(connection, now=now)
            sessions.begin(
                connection,
                session_id=session_id,
                user_id=user.id,
                address=address,
                user_agent=(user_agent or "")[:300] or None,
                now=now,
                expires_at=now + IDLE,
            )
            sessions.add_token(
                connection, token_hash=opaque.hashed(refresh_token), session_id=session_id, now=now
            )
            who = Principal(user.id, user.username, user.role, session_id)
            audit.append(connection, who, "auth.login", now=now, address=address)

        await self._database.run(begin)
        return self._signed_in(user, session_id, refresh_token)

    async def refresh(self, refresh_token: str, *, address: str) -> SignedIn:
        """Go on with a session: a new access token and a new refresh token.

        :raises EdgetainerError: `session_expired`, also when the token was used
            before; then the session ends for everybody who holds it.
        """
        replacement, now = opaque.new(), self._now()

        def rotate(connection: Connection) -> tuple[User, str] | str | None:
            token = sessions.token(connection, opaque.hashed(refresh_token))
            sign_in = sessions.get(connection, token.session_id) if token else None
            if token is None or sign_in is None or sign_in.revoked_at is not None:
                return None
            if sign_in.expires_at <= now:
                return None
            if token.used_at is not None and now - token.used_at > GRACE:
                sessions.revoke(connection, sign_in.id, now=now)
                who = Principal(sign_in.user_id, sign_in.username, sign_in.role, sign_in.id)
                audit.append(connection, who, "auth.refresh_reused", now=now, address=address)
                # Returned and not raised: raising would undo the revocation.
                return sign_in.id
            user = users.get(connection, sign_in.user_id)
            assert user is not None
            sessions.use_token(
                connection,
                token,
                now=now,
                expires_at=min(now + IDLE, sign_in.created_at + LONGEST),
            )
            sessions.add_token(
                connection, token_hash=opaque.hashed(replacement), session_id=sign_in.id, now=now
            )
            return user, sign_in.id

        rotated = await self._database.run(rotate)
        if isinstance(rotated, str):
            _log.warn("refresh token used twice; session {session} ended", session=rotated)
            self.end_session(rotated)
            raise EdgetainerError("session_expired", "The session was ended for safety.")
        if rotated is None:
            raise EdgetainerError("session_expired", "Sign in again.")
        user, session_id = rotated
        return self._signed_in(user, session_id, replacement)

    async def logout(self, refresh_token: str, *, address: str) -> None:
        """End the session that a refresh token belongs to; an unknown one is no error."""
        now = self._now()

        def end(connection: Connection) -> str | None:
            token = sessions.token(connection, opaque.hashed(refresh_token))
            sign_in = sessions.get(connection, token.session_id) if token else None
            if sign_in is None:
                return None
            sessions.revoke(connection, sign_in.id, now=now)
            who = Principal(sign_in.user_id, sign_in.username, sign_in.role, sign_in.id)
            audit.append(connection, who, "auth.logout", now=now, address=address)
            return sign_in.id

        ended = await self._database.run(end)
        if ended is not None:
            self.end_session(ended)

    async def logout_of(self, principal: Principal, *, address: str) -> None:
        """End the session that a principal was authenticated by."""
        session_id, now = principal.session_id, self._now()
        if session_id is None:
            return

        def end(connection: Connection) -> None:
            sessions.revoke(connection, session_id, now=now)
            audit.append(connection, principal, "auth.logout", now=now, address=address)

        await self._database.run(end)
        self.end_session(session_id)

    async def principal(self, access_token: str) -> Principal:
        """Who an access token speaks for, with the rights they have now.

        :raises EdgetainerError: `unauthenticated` or `session_expired`.
        """
        claims = self._tokens.read(access_token)
        known = self._known.get(claims.session_id)
        if known is None:
            known = await self._look_up(claims)
        if known.user_id != claims.user_id:
            raise EdgetainerError("unauthenticated", "The access token is not valid.")
        return known

    async def still(self, principal: Principal) -> Principal:
        """The same person with the rights they have now, for what lasts longer than a request.

        :raises EdgetainerError: `session_expired` when their session has ended.
        """
        if principal.session_id is None:
            return principal
        known = self._known.get(principal.session_id)
        return known or await self._look_up(Claims(principal.user_id, principal.session_id))

    async def me(self, principal: Principal) -> User:
        """The signed-in user.

        :raises EdgetainerError: `session_expired` when the user is gone.
        """
        user = await self._database.read(lambda c: users.get(c, principal.user_id))
        if user is None:
            raise EdgetainerError("session_expired", "Sign in again.")
        return user

    def end_session(self, session_id: str) -> None:
        """Forget a session that was revoked in the database."""
        self._generation += 1
        self._known.pop(session_id, None)

    def end_user(self, user_id: str) -> None:
        """Forget what is known of a user whose rights changed in the database."""
        self._generation += 1
        for session_id in [s for s, who in self._known.items() if who.user_id == user_id]:
            del self._known[session_id]

    async def _look_up(self, claims: Claims) -> Principal:
        generation = self._generation
        sign_in = await self._database.read(lambda c: sessions.get(c, claims.session_id))
        if sign_in is None or sign_in.revoked_at is not None or sign_in.expires_at <= self._now():
            raise EdgetainerError("session_expired", "Sign in again.")
        who = Principal(sign_in.user_id, sign_in.username, sign_in.role, sign_in.id)
        # What was read while rights were being changed may be old already.
        if generation == self._generation:
            self._known[sign_in.id] = who
            while len(self._known) > KNOWN_LIMIT:
                self._known.popitem(last=False)
        return who

    async def _note_refusal(self, user: User, address: str) -> None:
        now = self._now()

        def note(connection: Connection) -> None:
            target = ("user", user.id)
            audit.append(
                connection, None, "auth.login_refused", now=now, target=target, address=address
            )

        await self._database.run(note)

    def _signed_in(self, user: User, session_id: str, refresh_token: str) -> SignedIn:
        access = self._tokens.issue(Claims(user.id, session_id))
        return SignedIn(access, int(LIFE.total_seconds()), refresh_token, user)


def _known_at(
    connection: Connection, username: str, place: str
) -> tuple[tuple[User, str] | None, bool]:
    """The user of a name with the password's hash, and whether they signed in here before."""
    found = users.credentials(connection, username)
    seen = sessions.addresses(connection, found[0].id) if found else ()
    return found, place in map(address_key, seen)
