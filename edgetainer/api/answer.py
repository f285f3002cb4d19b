"""Answers: replies and problem documents, put on a request of `twisted.web`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from edgetainer.errors import EdgetainerError

_log = Logger()


@dataclass(frozen=True)
class Reply:
    """An answer that is more than data: another status, headers, cookies, an ETag."""

    data: Any = None
    status: int | None = None  # None: the route's
    headers: Sequence[tuple[str, str]] = ()
    cookies: Sequence[str] = ()  # whole Set-Cookie values
    etag: str | None = None  # unquoted; an equal If-None-Match is answered 304
    kind: str | None = None  # media type of data that is bytes; None: JSON is made of it


def write(request: IRequest, reply: Reply, *, status: int) -> bytes:
    """Set the request up to answer with a reply, and return its body.

    :param status: where the reply names none.
    """
    status = reply.status or status
    request.setHeader("cache-control", "no-store")
    for name, value in reply.headers:
        request.setHeader(name, value)
    for cookie in reply.cookies:
        request.responseHeaders.addRawHeader("set-cookie", cookie)
    if reply.etag is not None:
        quoted = f'"{reply.etag}"'
        request.setHeader("etag", quoted)
        request.setHeader("cache-control", "no-cache")
        asked = request.requestHeaders.getRawHeaders("if-none-match", [])
        if quoted in {tag.strip().removeprefix("W/") for line in asked for tag in line.split(",")}:
            status = 304
    request.setResponseCode(status)
    if status in (204, 304):
        return b""
    if reply.kind is not None:
        return _send(request, reply.data, reply.kind)
    return _send(request, msgspec.json.encode(reply.data), "application/json")


def problem(request: IRequest, failure: Failure) -> bytes:
    """Set the request up to answer with a problem document, and return its body."""
    error = failure.value
    if not isinstance(error, EdgetainerError):
        incident = secrets.token_hex(4)
        _log.failure("request failed, incident {incident}", failure, incident=incident)
        error = EdgetainerError("internal", f"The server's log tells more under {incident}.")
    else:
        # What a caller is told can be found in the log by its code. The query is
        # left out: addresses are no place for secrets, but people put them there.
        _log.info(
            "{method} {path} {status} {code}: {detail}",
            method=_plain(request.method),
            path=_plain(request.path),
            status=error.status,
            code=error.code,
            detail=error.detail,
        )
    request.setResponseCode(error.status)
    request.setHeader("cache-control", "no-store")
    if error.status == 401:
        request.setHeader("www-authenticate", "Bearer")
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        request.setHeader("retry-after", str(int(retry_after_s)))
    return _send(request, msgspec.json.encode(error.problem()), "application/problem+json")


def _plain(text: bytes) -> str:
    """Bytes from outside as one line of the log can hold them."""
    return ascii(text[:200].decode("latin-1"))[1:-1]


def _send(request: IRequest, body: bytes, kind: str) -> bytes:
    request.setHeader("content-type", kind)
    request.setHeader("content-length", str(len(body)))
    return b"" if request.method == b"HEAD" else body
