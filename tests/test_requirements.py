"""The pinned requirement files hold what setup.cfg asks for, hashed, from no named index."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PINNED = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE | re.IGNORECASE)


def asked(*extras: str) -> list[Requirement]:
    """What setup.cfg asks for."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    texts = [config["options"]["install_requires"]]
    texts += [config["options.extras_require"][extra] for extra in extras]
    lines = (line.strip() for text in texts for line in text.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pinned(name: str) -> dict[str, str]:
    """Versions by canonical name."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {canonicalize_name(match[1]): match[2] for match in PIN.finditer(text)}


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("run", ("server", "postgres", "demo")),
        ("test", ("server", "postgres", "demo", "test")),
        ("types", ("server", "postgres", "test")),
        ("lowest", ("server", "postgres", "demo", "test")),
    ],
)
def test_everything_asked_for_is_pinned(name: str, extras: tuple[str, ...]) -> None:
    versions = pinned(name)
    for requirement in asked(*extras):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {name}.txt: run make pins"
        assert requirement.specifier.contains(version), f"{requirement}: {name}.txt has {version}"


def test_lowest_is_the_lowest() -> None:
    versions = pinned("lowest")
    for requirement in asked("server", "postgres", "demo", "test"):
        (bound,) = requirement.specifier
        version = versions[canonicalize_name(requirement.name)]
        # "77" may only exist as "77.0.1".
        assert version.startswith(bound.version), f"{requirement} is tested with {version}"


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.name)
def test_every_line_is_hashed_and_names_no_index(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "index" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", text, flags=re.IGNORECASE)
    for block in blocks:
        if PIN.match(block):
            assert "--hash=sha256:" in block, block
