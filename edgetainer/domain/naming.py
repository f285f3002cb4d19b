"""Names that become host names, and host names that become names again.

A device is reached at `device.apps.example.com` and one service of it at
`service--device.apps.example.com`: always one label before the apps domain, so
that one wildcard certificate and one wildcard record cover all. Hence `--` is
in neither name, and both fit into a label together (63 bytes, RFC 1035 2.3.4).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# 30 + len("--") + 31 = 63.
SERVICE_LIMIT = 30
SUBDOMAIN_LIMIT = 31

# Names that people or programs take to be the operator's own.
RESERVED_SUBDOMAINS = frozenset(
    {"admin", "api", "app", "apps", "autoconfig", "autodiscover", "console", "dashboard"}
    | {"dns", "edgetainer", "ftp", "imap", "isatap", "localhost", "login", "mail", "ns"}
    | {"ns1", "ns2", "pop", "postmaster", "root", "smtp", "sso", "status", "tunnel"}
    | {"webmail", "wpad", "www"}
)
# `xn--` starts an internationalised label (RFC 5890), which this never is.
RESERVED_SERVICES = frozenset({"xn"})

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_AUTHORITY = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class AppName:
    """What an outside host name asks for."""

    subdomain: str
    service: str | None  # None: the device's default service


def subdomain_problem(name: str) -> str | None:
    """Why `name` cannot be a device's subdomain; None when it can."""
    return _problem(name, SUBDOMAIN_LIMIT, RESERVED_SUBDOMAINS)


def service_problem(name: str) -> str | None:
    """Why `name` cannot be an exposed service's name; None when it can."""
    return _problem(name, SERVICE_LIMIT, RESERVED_SERVICES)


def _problem(name: str, limit: int, reserved: frozenset[str]) -> str | None:
    if not name:
        return "It is empty."
    if len(name) > limit:
        return f"It is longer than {limit} characters."
    if not _LABEL.fullmatch(name):
        return "Use lower-case letters, digits and hyphens, with a letter or digit at either end."
    if "--" in name:
        return "Two hyphens in a row separate a service from its device in addresses."
    if name in reserved:
        return f"{name} is reserved."
    return None


def slug(text: str, *, limit: int, fallback: str) -> str:
    """A label that reminds of `text`: "Büro 3 / Kasse" becomes "buro-3-kasse".

    :param limit: the most characters it may have.
    :param fallback: used when nothing of `text` can be kept.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words[:limit].strip("-") or fallback


def subdomains(name: str, entropy: Iterable[str]) -> Iterator[str]:
    """Subdomains to try for a device of this name: the plain one, then one per `entropy`.

    :param entropy: short random labels (`[a-z0-9]`, at most 8 characters).
    """
    plain = slug(name, limit=SUBDOMAIN_LIMIT, fallback="device")
    if subdomain_problem(plain) is None:
        yield plain
    for extra in entropy:
        stem = slug(name, limit=SUBDOMAIN_LIMIT - 1 - len(extra), fallback="device")
        yield f"{stem}-{extra}"


def app_label(subdomain: str, service: str | None = None) -> str:
    """The one label before the apps domain."""
    return subdomain if service is None else f"{service}--{subdomain}"


def app_url(
    subdomain: str, service: str | None = None, *, apps_domain: str, port: int = 443
) -> str:
    """The address that a visitor types."""
    shown = "" if port == 443 else f":{port}"
    return f"https://{app_label(subdomain, service)}.{apps_domain}{shown}/"


def parse_app_host(host: str, *, apps_domain: str) -> AppName | None:
    """What `host` (without a port) names below the apps domain; None when nothing.

    Grammar only: whether such a device exists is for the caller to find out.
    """
    host = host.lower()
    suffix = "." + apps_domain.lower()
    if not host.endswith(suffix):
        return None
    label = host[: -len(suffix)]
    service, separator, subdomain = label.partition("--")
    if not separator:
        service, subdomain = "", label
    if subdomain_problem(subdomain) is not None:
        return None
    if separator and service_problem(service) is not None:
        return None
    return AppName(subdomain, service or None)


def parse_authority(value: str) -> tuple[str, int | None] | None:
    """Host and port of a Host header or `:authority`, lower case; None when malformed.

    Strict on purpose (RFC 9110 7.2, no user information, no trailing dot): what
    routes a request and what authorises it must be read from the same text.
    """
    found = _AUTHORITY.fullmatch(value)
    if found is None:
        return None
    host = found[1].lower()
    if host.endswith(".") or host.startswith(".") or ".." in host or len(host) > 253:
        return None
    if found[2] is None:
        return host, None
    port = int(found[2])
    return (host, port) if 0 < port < 65536 else None
