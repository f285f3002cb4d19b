"""Which headers pass the gateway, in both directions.

The container gets the visitor's own headers and a trustworthy statement of who
asked; it never gets a credential of ours. The visitor gets the container's
headers, without those that could reach beyond its own host. Pure functions;
`exchange` calls them once per request and once per response.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable

from edgetainer.gateway.head import Headers, RequestHead

#: All cookies that belong to us have this prefix; `__Host-` binds them to one host.
OUR_COOKIES = b"__host-edgetainer-"
#: The audience claim of our own access tokens begins with this.
OUR_AUDIENCE = "edgetainer"

# About one connection only (RFC 9110 7.6.1), or decided anew for the next one.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"expect",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Statements about the visitor that only the gateway may make.
_OURS_TO_SAY = frozenset({b"forwarded", b"x-real-ip", b"x-client-ip", b"true-client-ip"})
# What Clear-Site-Data may clear: of the origin that says so, and no other's.
_ORIGINS_OWN = (b'"cache"', b'"storage"', b'"executionContexts"')


def to_container(head: RequestHead, *, visitor: str) -> list[tuple[bytes, bytes]]:
    """The headers of the request as the container gets them, framing included.

    Headers that the visitor's Connection names go first and ours are added
    after, so nobody can have ours removed by naming them.

    :param visitor: the visitor's IP address.
    """
    named = _named_by_connection(head.headers)
    passed: list[tuple[bytes, bytes]] = [(b"host", str(head.authority).encode("ascii"))]
    for name, value in head.headers:
        # Some servers read an underscore as a hyphen, so both spellings are ours.
        spelled = name.replace(b"_", b"-")
        if name in _HOP_BY_HOP or name in named or name in (b"host", b"content-length"):
            continue
        if spelled in _OURS_TO_SAY or spelled.startswith((b"x-forwarded-", b"x-edgetainer-")):
            continue
        if name == b"cookie":
            value = without_our_cookies(value)
            if not value:
                continue
        if name == b"authorization" and is_our_token(value):
            continue
        passed.append((name, value))
    passed += _forwarded(head, visitor)
    if head.length is None:
        passed.append((b"transfer-encoding", b"chunked"))
    elif head.length or head.values(b"content-length"):
        passed.append((b"content-length", b"%d" % head.length))
    if head.expects_continue:
        passed.append((b"expect", b"100-continue"))
    if head.upgrade is not None:
        passed += [(b"connection", b"upgrade"), (b"upgrade", head.upgrade)]
    else:
        passed.append((b"connection", b"close"))
    return passed


def to_visitor(headers: Iterable[tuple[bytes, bytes]], *, status: int) -> list[tuple[bytes, bytes]]:
    """The headers of a response as the visitor gets them; h11 adds the framing.

    :param headers: the container's, names in lower case.
    """
    received = tuple(headers)
    named = _named_by_connection(received)
    chunked = any(name == b"transfer-encoding" for name, _ in received)
    passed: list[tuple[bytes, bytes]] = []
    for name, value in received:
        if name in _HOP_BY_HOP or name in named or name == b"alt-svc":
            # Alt-Svc would send visitors round the gateway.
            continue
        if name.startswith(b"x-edgetainer-"):
            continue  # ours to say: an error of the gateway's is told by it
        if name == b"clear-site-data":
            value = contained_clearing(value)
            if not value:
                continue
        if name == b"content-length" and (chunked or status == 204):
            continue
        if name == b"set-cookie":
            kept = contained_cookie(value)
            if kept is None:
                continue
            value = kept
        passed.append((name, value))
    return passed


def without_our_cookies(value: bytes) -> bytes:
    """A Cookie header's value without the cookies of ours."""
    pairs = [pair.strip(b" \t") for pair in value.split(b";")]
    return b"; ".join(pair for pair in pairs if pair and not _is_ours(pair))


def our_cookies(head: RequestHead, name: bytes) -> list[bytes]:
    """The values of one cookie of ours, in the order sent; at most four are looked at."""
    wanted = name.lower() + b"="
    return [
        pair.strip(b" \t")[len(wanted) :]
        for header in head.values(b"cookie")
        for pair in header.split(b";")
        if pair.strip(b" \t").lower().startswith(wanted)
    ][:4]


def contained_cookie(value: bytes) -> bytes | None:
    """A device's Set-Cookie, kept to its own host: no Domain, and no name of ours (None)."""
    pair, *attributes = value.split(b";")
    if _is_ours(pair):
        return None
    kept = [a for a in attributes if a.partition(b"=")[0].strip(b" \t").lower() != b"domain"]
    return b";".join([pair, *kept])


def contained_clearing(value: bytes) -> bytes:
    """A device's Clear-Site-Data without the cookies.

    Browsers clear those of the whole registrable domain: of other devices, and
    the console's, where it shares the domain.
    """
    kinds = [kind.strip(b" \t") for kind in value.split(b",")]
    # The wildcard in words: what of it concerns one origin only.
    kinds = [k for kind in kinds for k in (_ORIGINS_OWN if kind == b'"*"' else (kind,))]
    return b", ".join(kind for kind in kinds if kind in _ORIGINS_OWN)


def is_our_token(value: bytes) -> bool:
    """Whether an Authorization value is an access token of the console, valid or not."""
    scheme, _, token = value.strip(b" \t").partition(b" ")
    parts = token.strip(b" \t").split(b".")
    if scheme.lower() != b"bearer" or len(parts) != 3:
        return False
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + b"=="))
    except (binascii.Error, ValueError, RecursionError):
        return False
    audience = claims.get("aud") if isinstance(claims, dict) else None
    audiences = audience if isinstance(audience, list) else [audience]
    return any(isinstance(item, str) and item.startswith(OUR_AUDIENCE) for item in audiences)


def _is_ours(pair: bytes) -> bool:
    # A nameless cookie "=name=value" is read as "name=value" by some servers.
    return pair.strip(b" \t=").lower().startswith(OUR_COOKIES)


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    return frozenset(
        token.strip(b" \t").lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    )


def _forwarded(head: RequestHead, visitor: str) -> list[tuple[bytes, bytes]]:
    """Who asked, as RFC 7239 says it and as everybody reads it."""
    host = str(head.authority)
    node = f'"[{visitor}]"' if ":" in visitor else visitor
    return [
        (b"x-forwarded-for", visitor.encode("ascii")),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", host.encode("ascii")),
        (b"forwarded", f'for={node};host="{host}";proto=https'.encode("ascii")),
    ]
