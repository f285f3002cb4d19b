"""Names of software and versions of it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from edgetainer.errors import EdgetainerError

# Characters. A slug becomes a Compose project name, which prefixes the names of
# containers and networks; those are cut at 63 by DNS.
MAX_SLUG = 40
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")
_COUNTED = re.compile(r"[1-9][0-9]{0,8}\Z")


def slug(name: str) -> str:
    """The Compose project name of a software: `[a-z0-9][a-z0-9-]*`.

    :raises EdgetainerError: `invalid_field` where no letter or digit is left.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_SLUG].strip("-")
    if not text:
        raise EdgetainerError(
            "invalid_field", "The name needs at least one letter a-z or digit.", field="name"
        )
    return text


def check_version(version: str) -> str:
    """`version` itself, where it can name a release.

    :raises EdgetainerError: `invalid_field`.
    """
    if not _VERSION.match(version):
        raise EdgetainerError(
            "invalid_field",
            "A version has at most 64 letters, digits, '.', '_', '+' and '-', "
            "and begins with a letter or digit.",
            field="version",
        )
    return version


def next_version(taken: Iterable[str]) -> str:
    """The version of an upload that names none: one above the highest counted."""
    counted = (int(version) for version in taken if _COUNTED.match(version))
    return str(max(counted, default=0) + 1)


def digest(compose: str) -> str:
    """What a release is, as opposed to what it is called: `sha256:…` of its file."""
    return "sha256:" + hashlib.sha256(compose.encode()).hexdigest()
