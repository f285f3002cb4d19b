"""The development certificates hold what a server would accept, and are never committed."""

from __future__ import annotations

import importlib.util
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from edgetainer.quic.certificates import verify_client_chain

CERTS = Path(__file__).parents[2] / "certs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("certs_generate", CERTS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_device_is_one_that_the_tunnel_lets_in(generate: ModuleType, tmp_path: Path) -> None:
    generate.main([str(tmp_path), "--devices", "2"])
    authority = load(tmp_path / "keys" / "installation-ca.pem")
    for number in (1, 2):
        leaf = load(tmp_path / "devices" / f"device-{number}.pem")
        assert verify_client_chain([leaf], [authority], datetime.now(UTC)) == leaf
    names = [load(tmp_path / "devices" / f"device-{number}.pem").subject for number in (1, 2)]
    assert names[0].get_attributes_for_oid(NameOID.COMMON_NAME) != names[1].get_attributes_for_oid(
        NameOID.COMMON_NAME
    )


def test_keys_are_for_their_owner_and_kept(generate: ModuleType, tmp_path: Path) -> None:
    generate.main([str(tmp_path)])
    keys = {path: path.read_bytes() for path in tmp_path.rglob("*.key")}
    assert len(keys) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    generate.main([str(tmp_path)])
    assert {path: path.read_bytes() for path in keys} == keys


def test_what_it_makes_is_ignored_by_git() -> None:
    asked = ["certs/dev/keys/installation-ca.key", "certs/server.pem", "certs/x/y.pem"]
    ignored = subprocess.run(
        ["git", "check-ignore", *asked],
        cwd=CERTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout.split() == asked
