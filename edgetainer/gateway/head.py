"""A visitor's request head, read strictly or refused.

Whatever two readers could understand differently is refused here, before any
device hears of it: request smuggling needs a disagreement, and so does routing
by one name while authorising by another. `parse_head` is pure; `http1` calls it
with exactly one head and gets a frozen value or an `EdgetainerError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgetainer.domain import naming
from edgetainer.errors import EdgetainerError

Headers = tuple[tuple[bytes, bytes], ...]

#: Request line, fields and the empty line. What browsers send with full cookies
#: stays below 12 KiB; Apache and h11 stop at about the same.
HEAD_BYTES = 16 * 1024
#: Fields of one head. Browsers send about 20.
HEAD_FIELDS = 100

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/(1\.[01])")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_TOKEN_ONLY = re.compile(_TOKEN)
_ABSOLUTE = re.compile(rb"https://([^/?#]*)(/[^#]*)?", re.IGNORECASE)
_DIGITS = re.compile(rb"[0-9]{1,18}")
#: Protocols that would carry further requests past this gate on one splice.
_UNSPLICEABLE = (b"h2c", b"http", b"tls")


@dataclass(frozen=True)
class Authority:
    """The host a request is for, lower case, and the port it named, if any."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class RequestHead:
    """What one request asks for, with every ambiguity already refused.

    :ivar target: origin-form, begins with ``/``; absolute form has been reduced.
    :ivar version: ``b"1.0"`` or ``b"1.1"``.
    :ivar headers: as received, names in lower case, repeats kept.
    :ivar length: bytes of the body, or None when it is chunked.
    :ivar upgrade: the one protocol asked for that may be spliced, or None.
    :ivar expects_continue: the visitor waits for ``100 Continue``.
    """

    method: bytes
    target: bytes
    version: bytes
    headers: Headers
    authority: Authority
    length: int | None
    upgrade: bytes | None
    expects_continue: bool

    def values(self, name: bytes) -> list[bytes]:
        """All values of a field, by lower-case name."""
        return [value for key, value in self.headers if key == name]

    def first(self, name: bytes) -> bytes:
        """The first value of a field, or nothing."""
        return next(iter(self.values(name)), b"")

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]


def refuse(detail: str) -> EdgetainerError:
    """The error for a head that is not acceptable."""
    return EdgetainerError("invalid_request", detail)


def parse_authority(value: bytes) -> Authority:
    """Read ``host[:port]`` of a Host header or a request target."""
    try:
        found = naming.parse_authority(value.decode("ascii"))
    except UnicodeDecodeError:
        found = None
    if found is None:
        raise refuse("The Host header does not name a host.")
    return Authority(*found)


def list_tokens(values: list[bytes]) -> list[bytes]:
    """Split comma lists of tokens (RFC 9110 5.6.1), lower case; empty members are skipped."""
    tokens = [token.strip(b" \t").lower() for value in values for token in value.split(b",")]
    for token in tokens:
        if token and not _TOKEN_ONLY.fullmatch(token):
            raise refuse("A header that must be a list of tokens is not one.")
    return [token for token in tokens if token]


def parse_head(block: bytes, *, server_name: str) -> RequestHead:
    """Read one head.

    :param block: from the request line to the empty line, both included.
    :param server_name: the name of the TLS handshake (SNI); the Host must be the same.
    :raises EdgetainerError: ``invalid_request``, ``headers_too_large``,
        ``method_not_allowed`` or ``misdirected``.
    """
    if len(block) > HEAD_BYTES:
        raise EdgetainerError("headers_too_large", "The request's headers are longer than 16 KiB.")
    if not block.endswith(b"\r\n\r\n"):
        raise refuse("The head does not end with an empty line.")
    lines = block[:-4].split(b"\r\n")
    if len(lines) > HEAD_FIELDS + 1:
        raise EdgetainerError("headers_too_large", "The request has more than 100 headers.")
    request = _REQUEST_LINE.fullmatch(lines[0])
    if request is None:
        raise refuse("The request line is malformed.")
    method, target, version = request[1], request[2], request[3]
    fields: list[tuple[bytes, bytes]] = []
    for line in lines[1:]:
        # Folded lines (obs-fold), spaces before the colon and stray CR, LF or NUL all end here.
        field = _FIELD.fullmatch(line)
        if field is None:
            raise refuse("A header is malformed.")
        fields.append((field[1].lower(), field[2].strip(b" \t")))
    headers = tuple(fields)
    authority = _authority(headers)
    target = _origin_form(method, target, authority)
    if authority.host != server_name.lower():
        raise EdgetainerError("misdirected", "The connection was opened for another host.")
    length = _body_length(headers, version)
    tokens = list_tokens([value for name, value in headers if name == b"connection"])
    expectations = [value.lower() for name, value in headers if name == b"expect"]
    if any(value != b"100-continue" for value in expectations):
        raise refuse("The only expectation known here is 100-continue.")
    return RequestHead(
        method=method,
        target=target,
        version=version,
        headers=headers,
        authority=authority,
        length=length,
        upgrade=_upgrade(headers, tokens, version, length),
        expects_continue=bool(expectations) and version == b"1.1" and length != 0,
    )


def _authority(headers: Headers) -> Authority:
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        raise refuse("A request must have exactly one Host header.")
    return parse_authority(hosts[0])


def _origin_form(method: bytes, target: bytes, authority: Authority) -> bytes:
    if method in (b"CONNECT", b"TRACE"):
        raise EdgetainerError("method_not_allowed", "CONNECT and TRACE are not served here.")
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise refuse("The request target is malformed.")
        if parse_authority(absolute[1]) != authority:
            raise refuse("The request target and the Host header name different hosts.")
        target = absolute[2] or b"/"
    if b"#" in target:
        raise refuse("The request target is malformed.")
    return target


def _body_length(headers: Headers, version: bytes) -> int | None:
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if codings:
        if lengths or version == b"1.0" or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise refuse("The length of the body is ambiguous.")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _DIGITS.fullmatch(lengths[0]):
        raise refuse("The length of the body is ambiguous.")
    return int(lengths[0])


def _upgrade(
    headers: Headers, tokens: list[bytes], version: bytes, length: int | None
) -> bytes | None:
    """The protocol to splice, if one is asked for; ignoring an offer is always allowed."""
    offered = [value for name, value in headers if name == b"upgrade"]
    if version == b"1.0" or b"upgrade" not in tokens or len(offered) != 1 or length != 0:
        return None
    protocol = offered[0].strip(b" \t")
    if not _TOKEN_ONLY.fullmatch(protocol.replace(b"/", b"", 1)):
        return None
    if protocol.lower().partition(b"/")[0] in _UNSPLICEABLE:
        return None
    return protocol
