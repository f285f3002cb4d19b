"""The agent's settings: one frozen value, read once at start.

They come from a YAML or JSON file (JSON is YAML), and each can be overridden by
an environment variable `EDGETAINER_AGENT_<FIELD>`. Nothing is taken from the
command line except the file's name, because a token there would be visible to
every user of the machine.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.profiles import PROFILES, STANDARD

#: Read when no `--config` is given and it exists.
DEFAULT_FILE = Path("/etc/edgetainer/agent.yaml")
ENVIRONMENT_PREFIX = "EDGETAINER_AGENT_"
#: A settings file larger than this is a mistake (a log, an image), not settings.
MAX_FILE_BYTES = 64 * 1024
#: Characters of the device's name; the server takes no more.
MAX_NAME = 100


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the agent was told at start. Paths are absolute; units are in names."""

    #: Folder of the device's identity and state; 0700, made if missing.
    state_dir: Path
    #: The console's address, `https://host[:port]`: for enrolment, and for a WebSocket
    #: where UDP is blocked.
    server_url: str
    #: PEM of the authority that signed the console's certificate; none: the system's.
    ca_file: Path | None = None
    #: One-time enrolment token. A file is better: it is deleted after use.
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    #: Host name shown for the device until someone renames it.
    name: str = field(default_factory=socket.gethostname)
    docker_socket: Path = Path("/var/run/docker.sock")
    #: Seconds between heartbeats; none: as the server says.
    heartbeat_s: float | None = None
    #: What the link costs: "standard" or "metered".
    link_profile: str = STANDARD.name
    #: Seconds between looks at the desired state when nobody rings; not on metered links.
    poll_s: float = 300.0
    #: Longest wait for a stack's containers to be running and healthy.
    compose_wait_s: int = 120
    #: The host's login shell for terminals; none: the account's own.
    shell: str | None = None
    terminals_max: int = 16
    commands_max: int = 16
    #: Open connections into containers at one moment.
    forwards_max: int = 512
    log_level: str = "info"


LOG_LEVELS = ("debug", "info", "warn", "error", "critical")


def load(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings from `file` (or the default file, or none) and `environment`.

    :raises EdgetainerError: `config_invalid` with the offending field.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    base = Path.cwd() if file is None else file.resolve().parent
    values: dict[str, Any] = {} if file is None else _read(file)
    names = {setting.name for setting in fields(Settings)}
    for name in values:
        if name not in names:
            raise _invalid(str(name), f"there is no such setting in {file}")
    origin = dict.fromkeys(values, base)
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name not in names:
            raise _invalid(name, f"there is no such setting ({variable})")
        # An empty variable is how unit files and Compose say "not set".
        values[name] = text if text else None
        origin[name] = Path.cwd()
    parsed: dict[str, Any] = {}
    for setting in fields(Settings):
        value = values.get(setting.name)
        if value is None:
            if setting.default is MISSING and setting.default_factory is MISSING:
                raise _invalid(
                    setting.name,
                    f"it is missing; set it in the file or in "
                    f"{ENVIRONMENT_PREFIX}{setting.name.upper()}",
                )
            continue
        parsed[setting.name] = _PARSERS[setting.name](
            setting.name, value, origin.get(setting.name, base)
        )
    return Settings(**parsed)


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _invalid("config", f"cannot read {file}: {error.strerror}") from error
    if len(text) > MAX_FILE_BYTES:
        raise _invalid("config", f"{file} is larger than {MAX_FILE_BYTES // 1024} KiB")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _invalid("config", f"{file} is neither YAML nor JSON: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _invalid("config", f"{file} must hold names and values")
    return document


def _invalid(name: str, why: str) -> EdgetainerError:
    return EdgetainerError("config_invalid", f"{name}: {why}", field=name)


_Parser = Callable[[str, Any, Path], Any]


def _text(name: str, value: Any, _base: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _invalid(name, "it must be text")
    return value.strip()


def _name(name: str, value: Any, base: Path) -> str:
    text = _text(name, value, base)
    if len(text) > MAX_NAME or not text.isprintable():
        raise _invalid(name, f"it must be one line of at most {MAX_NAME} characters")
    return text


def _path(name: str, value: Any, base: Path) -> Path:
    # Relative paths are relative to the file that names them, so that a
    # settings file means the same wherever the agent is started.
    return Path(os.path.abspath(base / Path(_text(name, value, base)).expanduser()))


def _number(minimum: float, maximum: float, kind: type = float) -> _Parser:
    def parse(name: str, value: Any, _base: Path) -> float:
        try:
            if isinstance(value, bool):
                raise ValueError
            number: float = kind(value)
        except (OverflowError, TypeError, ValueError):
            raise _invalid(name, f"it must be a number, not {value!r}") from None
        if not minimum <= number <= maximum:
            raise _invalid(name, f"it must be between {minimum:g} and {maximum:g}")
        return number

    return parse


def https_url(name: str, value: Any, base: Path) -> str:
    """The setting `name`: the console's address, in its shortest form.

    :raises EdgetainerError: `config_invalid`; a token goes over nothing but HTTPS.
    """
    text = _text(name, value, base)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _invalid(name, f"{text!r} is not an address: {error}") from None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise _invalid(name, f"it must look like https://console.example.com, not {text!r}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _invalid(name, "it must be the console's address without a path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}" + (f":{port}" if port is not None else "")


def _level(name: str, value: Any, base: Path) -> str:
    text = _text(name, value, base).lower()
    if text not in LOG_LEVELS:
        raise _invalid(name, f"it must be one of {', '.join(LOG_LEVELS)}")
    return text


def _profile(name: str, value: Any, base: Path) -> str:
    text = _text(name, value, base).lower()
    if text not in PROFILES:
        raise _invalid(name, f"it must be one of {', '.join(PROFILES)}")
    return text


_PARSERS: dict[str, _Parser] = {
    "state_dir": _path,
    "server_url": https_url,
    "ca_file": _path,
    "token": _text,
    "token_file": _path,
    "name": _name,
    "docker_socket": _path,
    "heartbeat_s": _number(1, 86_400),
    "link_profile": _profile,
    "poll_s": _number(1, 86_400),
    "compose_wait_s": _number(1, 3_600, int),
    "shell": _text,
    "terminals_max": _number(0, 1_000, int),
    "commands_max": _number(0, 1_000, int),
    "forwards_max": _number(0, 100_000, int),
    "log_level": _level,
}
