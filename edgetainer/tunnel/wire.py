"""Reading and writing the tunnel's JSON, with nothing taken on trust.

Everything that the two ends tell each other in JSON passes through
`load_object` and the `check_*` functions, so a peer that lies gets an
`EdgetainerError` and never a crash, a stray type or unbounded memory. Only
I-JSON is accepted (RFC 7493): no repeated names, no lone surrogates, no
NaN, no integer outside ±(2**53 - 1).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.limits import MAX_HEADER

#: Deepest nesting accepted. Our own messages use three levels; the limit keeps
#: whoever walks them afterwards from recursing without end.
MAX_DEPTH = 16

#: Largest integer that JavaScript, Go and Python all read alike (RFC 7493, 2.2).
MAX_INTEGER = 2**53 - 1

#: Longest explanation taken over from a peer, in characters: enough for a
#: sentence and a path, short enough for a log line.
MAX_DETAIL = 1_000


def dump_object(fields: Mapping[str, Any]) -> bytes:
    """Encode an object as compact ASCII JSON, fit for a frame or a header value."""
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode("ascii")


def dump_prefixed(fields: Mapping[str, Any]) -> bytes:
    """Encode an object with its length (u32, big-endian) before it.

    :raises EdgetainerError: ``invalid_field``, it is over `MAX_HEADER`.
    """
    body = dump_object(fields)
    if len(body) > MAX_HEADER:
        raise EdgetainerError(
            "invalid_field", f"What is asked of the device has over {MAX_HEADER} bytes."
        )
    return len(body).to_bytes(4, "big") + body


def load_object(data: bytes) -> dict[str, Any]:
    """Decode one I-JSON object.

    :raises EdgetainerError: ``protocol_violation``, whatever is wrong with it.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise violation(f"The peer sent JSON that cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise violation("The peer sent JSON that is not an object.")
    _check_tree(value)
    return value


def violation(detail: str, *, field: str | None = None) -> EdgetainerError:
    """The error for a peer that breaks the protocol."""
    return EdgetainerError("protocol_violation", printable(detail), field=field)


def printable(text: str) -> str:
    """`text` cut to `MAX_DETAIL` and without control characters, safe in a log line."""
    cut = text[:MAX_DETAIL]
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut
    )


def check_text(
    field: str,
    value: object,
    *,
    most: int,
    least: int = 1,
    pattern: re.Pattern[str] | None = None,
) -> str:
    """A string of `least` to `most` characters that matches `pattern` wholly."""
    if not isinstance(value, str):
        raise _invalid(field, "must be a string")
    if not least <= len(value) <= most:
        raise _invalid(field, f"must have {least} to {most} characters")
    if pattern is not None and pattern.fullmatch(value) is None:
        raise _invalid(field, "has characters that are not allowed here")
    if not _is_clean(value):
        raise _invalid(field, "holds NUL or half a character")
    return value


def check_integer(field: str, value: object, *, least: int, most: int) -> int:
    """An integer from `least` to `most`, both included; a boolean is none."""
    if type(value) is not int or not least <= value <= most:
        raise _invalid(field, f"must be an integer from {least} to {most}")
    return value


def check_number(field: str, value: object, *, above: float, most: float) -> float:
    """A finite number greater than `above` and at most `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(field, "must be a number")
    # Also false for NaN; comparing does not overflow for a huge integer.
    if not above < value <= most:
        raise _invalid(field, f"must be greater than {above:g} and at most {most:g}")
    return float(value)


def _invalid(field: str, what: str) -> EdgetainerError:
    return EdgetainerError("invalid_field", f"The field {field!r} {what}.", field=field)


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A repeated name is read differently by different parsers, so what one
    # floor authorised another might not do.
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is repeated")
    return fields


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _check_tree(root: dict[str, Any]) -> None:
    # Iterative, so that deep nesting meets MAX_DEPTH and not the stack's end.
    left: list[tuple[int, Any]] = [(1, root)]
    while left:
        depth, value = left.pop()
        if depth > MAX_DEPTH:
            raise violation(f"The peer sent JSON nested deeper than {MAX_DEPTH} levels.")
        if isinstance(value, dict):
            left.extend((depth + 1, part) for part in (*value.keys(), *value.values()))
        elif isinstance(value, list):
            left.extend((depth + 1, part) for part in value)
        elif isinstance(value, str):
            if not _is_clean(value):
                raise violation("The peer sent a string with NUL or half a character in it.")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise violation("The peer sent a number that is too large.")
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise violation("The peer sent an integer that is too large.")


def _is_clean(text: str) -> bool:
    # PostgreSQL and argv refuse NUL; a lone surrogate cannot be encoded again.
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
