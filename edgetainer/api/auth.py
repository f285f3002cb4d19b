"""Signing in and out.

The refresh token lives in a cookie that scripts cannot read and that no other
host, a device's subdomain included, can set (`__Host-`). SameSite does not keep
those subdomains from having it sent, so whoever uses the cookie must come from
our own page: a header that no foreign page can add, and our Origin if one is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgetainer.api.route import Call, Reply, Routes
from edgetainer.api.schemas import Schema
from edgetainer.errors import EdgetainerError
from edgetainer.services.authentication import IDLE, Authentication, SignedIn

COOKIE = "__Host-edgetainer-refresh"
_ATTRIBUTES = "Path=/; HttpOnly; Secure; SameSite=Strict"
_FORGET = f"{COOKIE}=; {_ATTRIBUTES}; Max-Age=0"


class Credentials(Schema):
    """Who signs in."""

    username: Annotated[str, Meta(min_length=1, max_length=254)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


def add_routes(routes: Routes, *, authentication: Authentication, origins: Iterable[str]) -> None:
    """Add the routes below `/api/auth`.

    :param origins: of the console: `https://host[:port]`.
    """
    ours = frozenset(origins)

    @routes.post("/api/auth/login", "auth.login", body=Credentials)
    async def login(call: Call) -> Reply:
        _from_our_page(call, ours, ask_for_header=False)
        body: Credentials = call.body
        return _signed_in(
            await authentication.login(
                body.username,
                body.password,
                address=call.address,
                user_agent=call.header("user-agent"),
            )
        )

    @routes.post("/api/auth/refresh", "auth.refresh")
    async def refresh(call: Call) -> Reply:
        _from_our_page(call, ours, ask_for_header=True)
        token = _refresh_token(call)
        if token is None:
            raise EdgetainerError("session_expired", "Sign in first.")
        return _signed_in(await authentication.refresh(token, address=call.address))

    @routes.post("/api/auth/logout", "auth.logout", status=204)
    async def logout(call: Call) -> Reply:
        bearer = call.header("authorization")
        token = _refresh_token(call)
        _from_our_page(call, ours, ask_for_header=token is not None and bearer is None)
        if token is not None:
            await authentication.logout(token, address=call.address)
        elif bearer is not None:
            who = await authentication.principal(bearer.partition(" ")[2])
            await authentication.logout_of(who, address=call.address)
        return Reply(cookies=[_FORGET])

    @routes.get("/api/auth/me", "auth.me")
    async def me(call: Call) -> Any:
        return await authentication.me(call.user)


def _signed_in(result: SignedIn) -> Reply:
    cookie = f"{COOKIE}={result.refresh_token}; {_ATTRIBUTES}"
    return Reply(
        {
            "access_token": result.access_token,
            "token_type": "Bearer",
            "expires_in": result.expires_in_s,
            "user": msgspec.to_builtins(result.user),
        },
        cookies=[f"{cookie}; Max-Age={int(IDLE.total_seconds())}"],
    )


def _refresh_token(call: Call) -> str | None:
    raw = call.request.getCookie(COOKIE.encode())
    if raw is None:
        return None
    try:
        token: str = raw.decode("ascii")
    except UnicodeDecodeError:
        # Not one that we ever set; it is as good as an unknown one.
        return ""
    return token


def _from_our_page(call: Call, ours: frozenset[str], *, ask_for_header: bool) -> None:
    origin = call.header("origin")
    if origin is not None and origin not in ours:
        raise EdgetainerError("origin_refused")
    if ask_for_header and call.header("x-edgetainer") != "1":
        raise EdgetainerError("origin_refused", "Send the header X-Edgetainer: 1.")
