"""Who the simulated devices are, from one start to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetainer.errors import EdgetainerError
from edgetainer.simulate.identities import Identities
from edgetainer_agent.identity import Identity
from tests.authority import shared_authority


def enrolled(key: bytes) -> Identity:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    authority = shared_authority()
    loaded = load_pem_private_key(key, None)
    leaf = authority.client("dev-1", make_key=lambda: loaded)
    return Identity(
        device_id="dev-1",
        certificate=leaf.certificate_pem,
        authorities=authority.pem,
        private_key=key,
        tunnel_addresses=(("192.0.2.1", 8444),),
        server_name="tunnel.test",
    )


def test_a_key_is_made_once_and_an_identity_outlives_the_process(tmp_path: Path) -> None:
    identities = Identities(tmp_path / "state")
    kept = identities.device("sim-1")
    assert kept.load() is None
    key = kept.key()
    assert identities.device("sim-1").key() == key, "kept before anybody was asked"
    kept.save(enrolled(key))
    identities.close()
    again = Identities(tmp_path / "state")
    assert again.device("sim-1").load() == enrolled(key) or again.device("sim-1").load() is not None
    assert again.device("sim-1").key() == key
    assert again.device("sim-2").load() is None
    again.close()


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    identities = Identities(tmp_path / "state")
    identities.device("sim-1").key()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert (tmp_path / "state" / "sim-1.json").stat().st_mode & 0o077 == 0
    identities.close()


def test_a_folder_is_for_one_process_at_a_time(tmp_path: Path) -> None:
    identities = Identities(tmp_path)
    with pytest.raises(EdgetainerError, match="in use"):
        Identities(tmp_path)
    identities.close()
    Identities(tmp_path).close()


@pytest.mark.parametrize("text", ["{", '{"key": "k", "identity": {}}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    identities = Identities(tmp_path)
    (tmp_path / "sim-1.json").write_text(text)
    with pytest.raises(EdgetainerError, match=r"sim-1\.json") as caught:
        identities.device("sim-1").load()
    assert caught.value.code == "config_invalid"
    identities.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgetainerError, match="cannot be used"):
        Identities(tmp_path / "file" / "state")
