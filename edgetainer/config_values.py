"""How one value of the configuration is read, wherever it came from.

Each reader takes what a file, the environment or the command line held and returns
the typed value, or raises `Refused` with what it should have been.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z"
)
_DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg2://")
LOG_LEVELS = ("debug", "info", "warn", "error", "critical")


class Refused(ValueError):
    """What a value had to be; the caller adds which option and where it came from."""


def a_text(value: Any) -> str:
    """Any text that is not empty."""
    if not isinstance(value, str) or not value:
        raise Refused("a text that is not empty")
    return value


def a_path(value: Any) -> Path:
    """A path, made absolute at once: a daemon changes its working folder."""
    return Path(a_text(value)).expanduser().absolute()


def an_integer(least: int, most: int, what: str) -> Callable[[Any], int]:
    """A reader of whole numbers within both bounds; `what` begins the refusal."""

    def parse(value: Any) -> int:
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str) and re.fullmatch(r"[0-9]{1,9}", text):
            text = int(text)
        if isinstance(text, bool) or not isinstance(text, int) or not least <= text <= most:
            raise Refused(f"{what} from {least} to {most}")
        return text

    return parse


def seconds(least: float, most: float) -> Callable[[Any], float]:
    """A reader of times in seconds within both bounds."""

    def parse(value: Any) -> float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = None
        # "not within" also refuses NaN, which compares false with everything.
        if isinstance(value, bool) or not isinstance(value, int | float):
            value = float("nan")
        if not least <= value <= most:
            raise Refused(f"a number of seconds from {least:g} to {most:g}")
        return float(value)

    return parse


def a_host(value: Any) -> str:
    """A host name in lower case, without the root's dot (RFC 1123, section 2.1)."""
    host = a_text(value).lower().rstrip(".")
    if not _HOST.match(host):
        raise Refused("a host name such as console.example.com")
    return host


def an_interface(value: Any) -> str:
    """The IP address of an interface, in its canonical spelling."""
    try:
        return str(ipaddress.ip_address(a_text(value)))
    except ValueError:
        raise Refused("an IP address of this machine, such as 0.0.0.0 or 127.0.0.1") from None


def a_database_url(value: Any) -> str:
    """An SQLAlchemy address of one of the two databases that are tested."""
    if not a_text(value).startswith(_DATABASES):
        raise Refused(f"a database address that begins with one of {', '.join(_DATABASES)}")
    return str(value)


def addresses(value: Any) -> tuple[str, ...]:
    """Addresses `HOST:PORT`, as a list or separated by commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or not 1 <= len(items) <= 16:
        raise Refused("1 to 16 addresses HOST:PORT, separated by commas")
    return tuple(an_address(item) for item in items)


def an_address(value: Any) -> str:
    """One `HOST:PORT`; an IPv6 address stands in brackets."""
    host, colon, port = str(value).strip().rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        name = str(ipaddress.ip_address(bare))
    except ValueError:
        name = a_host(bare) if colon else ""
    if not name or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise Refused("addresses HOST:PORT, such as tunnel.example.com:8444")
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def a_log_level(value: Any) -> str:
    """The name of a level of twisted.logger."""
    if value not in LOG_LEVELS:
        raise Refused(f"one of {', '.join(LOG_LEVELS)}")
    return str(value)


a_port = an_integer(1, 65535, "a port")
