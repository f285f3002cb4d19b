"""What a visitor is told when the gateway answers itself.

A page for people, a problem document (RFC 9457) for programs that ask for
JSON. Both say what happened and what to do, with the stable code; neither says
anything about devices, networks or software behind the gateway.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

from edgetainer.errors import CODES, EdgetainerError
from edgetainer.gateway.head import RequestHead

# Sentences for visitors. A code that is not here is told by its title only:
# its detail was written for operators.
_FOR_VISITORS = {
    "host_unknown": "Nothing is published at this address. Check it for typing mistakes.",
    "service_not_exposed": "Nothing is published at this address. Check it for typing mistakes.",
    "device_offline": "The device behind this address is not connected now. Try again later.",
    "device_timeout": "The device behind this address did not answer in time. Try again.",
    "session_replaced": "The device behind this address is reconnecting. Try again.",
    "session_closed": "The connection to the device was lost. Try again.",
    "channel_refused": "The device behind this address refused the connection.",
    "channel_limit": "The device behind this address is busy. Try again in a moment.",
    "container_not_found": "The program behind this address is not installed on the device.",
    "container_not_running": "The program behind this address is not running. Try again later.",
    "port_closed": "The program behind this address is not answering. Try again later.",
    "upstream_invalid": "The program behind this address gave an answer that is not HTTP.",
    "upstream_timeout": "The program behind this address did not answer in time. Try again.",
    "unauthenticated": "Open this address in a browser and sign in first.",
    "ticket_invalid": "The sign-in was not completed in time. Open the address again.",
    "forbidden": "Your account may not visit this address.",
    "origin_refused": "The page that sent this request may not use this address.",
    "not_found": "There is no such page.",
    "unavailable": "The service is not available just now. Try again in a moment.",
}
# Codes about the request itself: their details are the gateway's own words.
_OWN_WORDS = frozenset(
    {
        "headers_too_large",
        "invalid_request",
        "method_not_allowed",
        "misdirected",
        "request_timeout",
    }
)
#: Seconds after which trying again is sensible, by code.
_RETRY_AFTER = {"device_offline": 15, "channel_limit": 5, "session_replaced": 2, "unavailable": 10}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 0; display: grid;
  min-height: 100vh; place-items: center }}
main {{ max-width: 32rem; padding: 2rem }}
h1 {{ font-size: 1.5rem; margin: 0 0 .5rem }}
p {{ margin: 0 0 1rem }}
code {{ font-size: .875rem }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{detail}</p>
<p><code>{status} {code}</code></p>
</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Reply:
    """A whole response of the gateway's own."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""


def error_reply(error: EdgetainerError, head: RequestHead | None) -> Reply:
    """The error as a response.

    :param head: the request that failed, or None when it could not be read.
    """
    code = error.code
    detail = error.detail if code in _OWN_WORDS else _FOR_VISITORS.get(code, CODES[code].title)
    headers = [
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-edgetainer-error", code.encode("ascii")),
    ]
    if code in _RETRY_AFTER:
        headers.append((b"retry-after", b"%d" % _RETRY_AFTER[code]))
    if head is not None and wants_json(head.values(b"accept")):
        problem = EdgetainerError(code, detail).problem()
        body = json.dumps(problem).encode("utf-8")
        headers.append((b"content-type", b"application/problem+json"))
    else:
        page = _PAGE.format(
            title=escape(error.title), detail=escape(detail), status=error.status, code=escape(code)
        )
        body = page.encode("utf-8")
        headers += [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
            (b"referrer-policy", b"no-referrer"),
        ]
    headers.append((b"content-length", b"%d" % len(body)))
    return Reply(error.status, tuple(headers), body)


def wants_json(accept: list[bytes]) -> bool:
    """Whether an Accept header names JSON and prefers it to HTML (RFC 9110 12.5.1)."""
    best_json = best_html = 0.0
    for item in b",".join(accept).lower().split(b","):
        media, *parameters = [part.strip() for part in item.split(b";")]
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition(b"=")
            if name.strip() == b"q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if media == b"application/json" or media.endswith(b"+json"):
            best_json = max(best_json, quality)
        elif media in (b"text/html", b"application/xhtml+xml"):
            best_html = max(best_html, quality)
    return best_json > best_html
