"""Access tokens: short-lived, signed, and worth only as much as their session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt

from edgetainer.errors import EdgetainerError

LIFE = timedelta(minutes=10)
_AUDIENCE = "edgetainer"
# The only one: what a token says of its own algorithm is not asked.
_ALGORITHM = "HS256"
_CLAIMS = ("exp", "iat", "sub", "jti", "aud", "sid")


@dataclass(frozen=True)
class Claims:
    """Whose token it is and which sign-in it comes from."""

    user_id: str
    session_id: str


class AccessTokens:
    """Issues and reads JSON Web Tokens (RFC 7519).

    :param key: at least 32 bytes (RFC 7518 3.2).
    :param now: the time.
    """

    def __init__(self, *, key: bytes, now: Callable[[], datetime]) -> None:
        if len(key) < 32:
            raise EdgetainerError("config_invalid", "The key for access tokens is too short.")
        self._key = key
        self._now = now

    def issue(self, claims: Claims) -> str:
        """A token that is good for `LIFE`."""
        now = self._now()
        return jwt.encode(
            {
                "sub": claims.user_id,
                "sid": claims.session_id,
                "aud": _AUDIENCE,
                "jti": str(uuid4()),
                "iat": int(now.timestamp()),
                "exp": int((now + LIFE).timestamp()),
            },
            self._key,
            algorithm=_ALGORITHM,
        )

    def read(self, token: str) -> Claims:
        """What a good token claims.

        :raises EdgetainerError: `session_expired` when its time is over,
            `unauthenticated` when it is not one of ours.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                # Times are checked below, on our clock.
                options={
                    "require": list(_CLAIMS),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            expires = datetime.fromtimestamp(claims["exp"], UTC)
            found = Claims(claims["sub"], claims["sid"])
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError) as error:
            raise EdgetainerError("unauthenticated", "The access token is not valid.") from error
        if not isinstance(found.user_id, str) or not isinstance(found.session_id, str):
            raise EdgetainerError("unauthenticated", "The access token is not valid.")
        if self._now() >= expires:
            raise EdgetainerError("session_expired", "The access token has expired; refresh it.")
        return found
