"""What a request may look like: msgspec structs that validate while they decode.

One description per body serves as validation, as the handler's type and (by
`msgspec.json.schema`) as documentation. Unknown fields, wrong types, over-long
strings, bad UTF-8 and deep nesting are refused with the field named.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edgetainer.errors import EdgetainerError

__all__ = ["UNSET", "Schema", "UnsetType", "bounded", "decode_json", "decode_query", "given"]

T = TypeVar("T")

# Bytes of a JSON body, unless a route says otherwise: far above any form, far
# below what would stall the reactor while it is decoded.
BODY_LIMIT = 1024 * 1024
# Levels of nesting: hardware descriptions use 4; parsers fail near 1000.
DEPTH_LIMIT = 32

_LINE = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?\Z"
# One line that a person typed, such as a name.
Line = Annotated[str, Meta(min_length=1, max_length=100, pattern=_LINE)]
# What a machine says of itself (versions, models); may be empty.
Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
# Several lines.
Prose = Annotated[str, Meta(max_length=2000)]
Id = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
]
# Free-form JSON, such as a description of hardware; see `bounded`.
Document = dict[str, Any]
# Bytes of one such document once encoded: a real one has some 2000.
DOCUMENT_LIMIT = 16 * 1024


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of every body and query: nothing unknown gets in.

    For updates give fields the default `UNSET`: absent means unchanged.
    """


def given(schema: Schema) -> dict[str, Any]:
    """The fields of an update that were sent."""
    fields = {name: getattr(schema, name) for name in schema.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not UNSET}


def bounded(document: Document | None, field: str) -> Document | None:
    """A free-form document, if it is not too large to be kept.

    :raises EdgetainerError: `invalid_field`.
    """
    if document is not None and len(msgspec.json.encode(document)) > DOCUMENT_LIMIT:
        raise EdgetainerError(
            "invalid_field", f"{field} has more than {DOCUMENT_LIMIT} bytes.", field=field
        )
    return document


def decode_json(raw: bytes, schema: type[T]) -> T:
    """Decode and validate a body.

    :raises EdgetainerError: `invalid_json` when it is not JSON at all,
        `invalid_field` with the field named when it is not what was asked for.
    """
    try:
        if b"\\u0000" in raw or raw.count(b"{") + raw.count(b"[") > DEPTH_LIMIT:
            _walk(msgspec.json.decode(raw), "", DEPTH_LIMIT)
        return msgspec.json.decode(raw, type=schema)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except UnicodeDecodeError as error:
        raise EdgetainerError("invalid_json", "The body is not UTF-8.") from error
    except RecursionError as error:
        raise EdgetainerError("invalid_field", "The body is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise EdgetainerError("invalid_json", f"The body is not JSON: {error}.") from error


def decode_query(args: dict[bytes, list[bytes]], schema: type[T]) -> T:
    """Validate a query string.

    :raises EdgetainerError: `invalid_field` with the parameter named.
    """
    values: dict[str, str] = {}
    for raw_name, raw_values in args.items():
        name = printable(raw_name.decode("utf-8", "replace"))
        if len(raw_values) > 1:
            raise EdgetainerError("invalid_field", f"{name} is given twice.", field=name)
        try:
            values[name] = raw_values[0].decode("utf-8")
        except UnicodeDecodeError as error:
            raise EdgetainerError("invalid_field", f"{name} is not UTF-8.", field=name) from error
        if "\x00" in values[name]:
            raise EdgetainerError("invalid_field", f"{name} holds a NUL.", field=name)
    try:
        return msgspec.convert(values, type=schema, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error


def printable(text: str) -> str:
    """Text from outside, fit to be shown and logged on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _walk(value: Any, path: str, depth: int) -> None:
    """Refuse what a database cannot hold: NUL in text, endless nesting."""
    if isinstance(value, str):
        if "\x00" in value:
            raise EdgetainerError("invalid_field", "Text may not hold NUL.", field=path or None)
    elif isinstance(value, dict | list):
        if depth == 0:
            raise EdgetainerError(
                "invalid_field", "The body is nested too deeply.", field=path.lstrip(".") or None
            )
        if isinstance(value, list):
            for index, item in enumerate(value):
                _walk(item, f"{path}[{index}]", depth - 1)
            return
        for name, item in value.items():
            here = f"{path}.{printable(name)}" if path else printable(name)
            _walk(name, path, depth)
            _walk(item, here, depth - 1)


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"^Object (missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL)


def _invalid(message: str) -> EdgetainerError:
    """An `invalid_field` out of msgspec's message, which ends in the place."""
    place = _PLACE.match(message)
    what, path = (place["what"], place["path"] or "") if place else (message, "")
    named = _NAMED.match(what)
    if named is not None:
        path = f"{path}.{named['name']}"
        what = "It is required" if named[1].startswith("missing") else "There is no such field"
    elif "matching regex" in what:
        what = "It has characters that are not allowed, or has the wrong form"
    # Names come from outside and go into the log: no line breaks, no surrogates.
    field = printable(path.lstrip("."))[:200] or None
    what = what.replace("`", "")
    return EdgetainerError(
        "invalid_field", f"{field}: {what}." if field else f"{what}.", field=field
    )
