"""The server's settings: one frozen value, read once at start.

Each option can be given in a file (YAML or JSON, snake_case keys), in the
environment (`EDGETAINER_` and the name in capitals) and on the command line
(`--kebab-case`); the later of these wins. A value that is not usable is refused
with the option's name and the place it came from, before anything is started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from edgetainer.config_values import (
    LOG_LEVELS,
    Refused,
    a_database_url,
    a_host,
    a_log_level,
    a_path,
    a_port,
    addresses,
    an_integer,
    an_interface,
    seconds,
)
from edgetainer.errors import EdgetainerError

# A device sends something every 10 s and is asked once more at 11 s of silence
# (switchboard): a limit below that would cut healthy devices off.
LEAST_SILENCE_S = 12.0


def _option(
    parse: Callable[[Any], Any], shown: str, text: str, *, secret: bool = False
) -> dict[str, Any]:
    """An option: how it is read, its default as people see it, what it is for.

    :param secret: its value may hold a password, so no message repeats it.
    """
    return {"parse": parse, "shown": shown, "text": text, "secret": secret}


@dataclass(frozen=True)
class Settings:
    """Everything that can be chosen about a server; see each option's text."""

    state_dir: Path = field(
        metadata=_option(
            a_path, "./var", "Folder for everything the server keeps: database, keys, certificates."
        )
    )
    database_url: str = field(
        metadata=_option(
            a_database_url,
            "sqlite:///STATE_DIR/edgetainer.sqlite",
            "SQLAlchemy address of the database: sqlite:///FILE or postgresql://USER@HOST/NAME.",
            secret=True,
        )
    )
    interface: str = field(
        metadata=_option(
            an_interface,
            "0.0.0.0",  # noqa: S104 - a server is there to be reached
            "IP address that both ports are opened on.",
        )
    )
    https_port: int = field(
        metadata=_option(
            a_port, "8443", "TCP port of the console, the API and the devices' public addresses."
        )
    )
    tunnel_port: int = field(
        metadata=_option(a_port, "HTTPS_PORT + 1", "UDP port that devices connect to (QUIC).")
    )
    tunnel_addresses: tuple[str, ...] = field(
        metadata=_option(
            addresses,
            "CONSOLE_HOST:TUNNEL_PORT",
            "Where devices find the tunnel port: HOST:PORT, several separated by commas.",
        )
    )
    console_host: str = field(
        metadata=_option(a_host, "localhost", "Host name of the console and the API.")
    )
    apps_domain: str = field(
        metadata=_option(
            a_host,
            "apps.edgetainer.localhost",
            "Domain whose names are the devices' public addresses; *.DOMAIN must lead here.",
        )
    )
    public_port: int = field(
        metadata=_option(
            a_port, "HTTPS_PORT", "HTTPS port as outsiders see it, where a port is forwarded here."
        )
    )
    tls_certificate: Path | None = field(
        metadata=_option(
            a_path,
            "issued by the server itself",
            "PEM file: certificate chain for CONSOLE_HOST and *.APPS_DOMAIN.",
        )
    )
    tls_private_key: Path | None = field(
        metadata=_option(
            a_path, "made by the server itself", "PEM file: private key of TLS_CERTIFICATE."
        )
    )
    web_dir: Path | None = field(
        metadata=_option(
            a_path, "the one that is installed with the server", "Folder of the built web UI."
        )
    )
    heartbeat_s: int = field(
        metadata=_option(
            an_integer(1, 3600, "a number of seconds"),
            "60",
            "How often devices report metrics and containers, in seconds.",
        )
    )
    silence_limit_s: float = field(
        metadata=_option(
            seconds(LEAST_SILENCE_S, 3600),
            "14",
            "A device that has been silent for so many seconds counts as offline.",
        )
    )
    window_budget_mib: int = field(
        metadata=_option(
            an_integer(0, 1_048_576, "a number of MiB"),
            "256",
            "Memory that the devices' receive windows may grow by, all together, in MiB; "
            "each device has 1 MiB besides.",
        )
    )
    log_level: str = field(
        metadata=_option(a_log_level, "info", f"Least level logged: {', '.join(LOG_LEVELS)}.")
    )

    @property
    def console_url(self) -> str:
        """The console's address as people type it."""
        return f"https://{self.console_host}{self.port_suffix}"

    @property
    def port_suffix(self) -> str:
        """`:PORT` as it follows a host name in public URLs; empty for HTTPS's own port."""
        return "" if self.public_port == 443 else f":{self.public_port}"


@dataclass(frozen=True)
class OptionHelp:
    """One option as help texts and option parsers need it."""

    name: str  # snake_case
    shown_default: str
    text: str

    @property
    def flag(self) -> str:
        """The name on the command line, without its two dashes."""
        return self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return f"EDGETAINER_{self.name.upper()}"


OPTIONS: tuple[OptionHelp, ...] = tuple(
    OptionHelp(item.name, item.metadata["shown"], item.metadata["text"])
    for item in fields(Settings)
)


def load(
    *,
    command_line: Mapping[str, str | None],
    environment: Mapping[str, str],
    file: Path | None = None,
) -> Settings:
    """Read the settings from all three places.

    :param command_line: values by kebab-case option name; None or absent is "not given".
    :param environment: usually `os.environ`.
    :param file: the configuration file, if there is one.
    :raises EdgetainerError: `config_invalid`, naming the option and where it came from.
    """
    given: dict[str, tuple[Any, str]] = {}
    for name, value in _read_file(file).items() if file else ():
        if value is not None:
            given[name] = (value, f"from the file {file}")
    for option in OPTIONS:
        if environment.get(option.variable):
            given[option.name] = (
                environment[option.variable],
                f"from the environment variable {option.variable}",
            )
        if command_line.get(option.flag) is not None:
            given[option.name] = (command_line[option.flag], f"from --{option.flag}")
    values: dict[str, Any] = {}
    for item in fields(Settings):
        if item.name in given:
            value, place = given[item.name]
            try:
                values[item.name] = item.metadata["parse"](value)
            except Refused as refusal:
                shown = "the value" if item.metadata["secret"] else repr(value)
                raise _invalid(item.name, f"{shown} ({place}) is not {refusal}") from None
    return _checked(_with_defaults(values), given)


def _with_defaults(values: dict[str, Any]) -> Settings:
    """Fill what was not given; some defaults follow from other options."""
    state_dir = values.setdefault("state_dir", Path("var").absolute())
    values.setdefault("database_url", f"sqlite:///{state_dir / 'edgetainer.sqlite'}")
    values.setdefault("interface", "0.0.0.0")  # noqa: S104 - a server is there to be reached
    https_port = values.setdefault("https_port", 8443)
    tunnel_port = values.setdefault("tunnel_port", https_port % 65535 + 1)
    console_host = values.setdefault("console_host", "localhost")
    values.setdefault("tunnel_addresses", (f"{console_host}:{tunnel_port}",))
    values.setdefault("apps_domain", "apps.edgetainer.localhost")
    values.setdefault("public_port", https_port)
    for name in ("tls_certificate", "tls_private_key"):
        values.setdefault(name, None)
    values.setdefault("web_dir", _installed_web_dir())
    values.setdefault("heartbeat_s", 60)
    values.setdefault("silence_limit_s", 14.0)
    values.setdefault("window_budget_mib", 256)
    values.setdefault("log_level", "info")
    return Settings(**values)


def _checked(settings: Settings, given: Mapping[str, tuple[Any, str]]) -> Settings:
    """Refuse what is fine by itself but not together."""
    if (settings.tls_certificate is None) != (settings.tls_private_key is None):
        present = "tls_certificate" if settings.tls_certificate else "tls_private_key"
        absent = "tls_private_key" if settings.tls_certificate else "tls_certificate"
        raise _invalid(absent, f"is missing; {present} was given {given[present][1]}")
    for name in ("tls_certificate", "tls_private_key", "web_dir"):
        path = getattr(settings, name)
        if name in given and not path.exists():
            raise _invalid(name, f"{str(path)!r} ({given[name][1]}) does not exist")
    host = settings.console_host
    if host == settings.apps_domain or host.endswith(f".{settings.apps_domain}"):
        # Pages of devices and the console would share cookies and an origin's trust.
        raise _invalid(
            "console_host",
            f"{host!r} lies in apps_domain {settings.apps_domain!r}; the console needs a "
            "name outside of it",
        )
    return settings


def _read_file(file: Path) -> dict[str, Any]:
    """The file's mapping; JSON is read as YAML, of which it is a part."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _invalid("config", f"cannot read {file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _invalid("config", f"{file} is neither YAML nor JSON: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _invalid("config", f"{file} must hold a mapping of option names to values")
    known = {option.name for option in OPTIONS}
    for name in content:
        if name not in known:
            raise _invalid(str(name), f"is no option (from the file {file})")
    return content


def _installed_web_dir() -> Path | None:
    """The built web UI: inside the installed package, or in the checkout; None if unbuilt."""
    package = Path(__file__).resolve().parent
    for folder in (package / "web", package.parent / "web" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None


def _invalid(name: str, detail: str) -> EdgetainerError:
    return EdgetainerError("config_invalid", f"{name}: {detail}", field=name)
