from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edgetainer.errors import EdgetainerError
from edgetainer_agent.identity import (
    Identity,
    IdentityStore,
    certificate_request,
    format_address,
    parse_address,
)
from tests.agent.authority import Authority


def enrolled(store: IdentityStore, device_id: str = "device-1") -> Identity:
    authority = Authority()
    reply = {
        "device_id": device_id,
        "certificate": authority.device(
            certificate_request(store.key(), "kiosk"), device_id
        ).decode(),
        "ca": authority.pem.decode(),
        "tunnel": {"addresses": ["127.0.0.1:8444", "[::1]:8444"], "server_name": "tunnel"},
    }
    return Identity.from_reply(reply, store.key())


def test_key_is_made_once_and_private(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path / "state")
    store.open()
    key = store.key()
    assert store.key() == key
    assert stat.S_IMODE((tmp_path / "state" / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    request = x509.load_pem_x509_csr(certificate_request(key, "x" * 100))
    private = serialization.load_pem_private_key(key, None)
    assert request.public_key() == private.public_key()
    store.close()


def test_saved_and_loaded_again(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path)
    store.open()
    assert store.load() is None
    identity = enrolled(store)
    store.save(identity)
    assert store.load() == identity
    assert identity.tunnel_addresses == (("127.0.0.1", 8444), ("::1", 8444))
    assert "PRIVATE" not in repr(identity)
    store.close()


def test_a_second_agent_is_refused(tmp_path: Path) -> None:
    first, second = IdentityStore(tmp_path), IdentityStore(tmp_path)
    first.open()
    with pytest.raises(EdgetainerError, match="another agent"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_disk_that_became_read_only_keeps_no_device_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = IdentityStore(tmp_path)
    store.open()
    identity = enrolled(store)
    store.save(identity)
    store.close()
    before, really_open = os.listdir(tmp_path), os.open

    def read_only(path: Path, flags: int, *mode: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system")
        return really_open(path, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    store.open()
    assert store.load() == identity
    with pytest.raises(EdgetainerError, match="another agent"):
        IdentityStore(tmp_path).open()
    store.close()
    assert os.listdir(tmp_path) == before


def test_damaged_files_are_named(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path)
    store.open()
    store.save(enrolled(store))
    (tmp_path / "identity.json").write_text("{")
    with pytest.raises(EdgetainerError, match=r"identity\.json is damaged"):
        store.load()
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(EdgetainerError, match="not a private key"):
        store.key()
    store.close()


def test_a_certificate_for_another_key_is_refused(tmp_path: Path) -> None:
    store, other = IdentityStore(tmp_path / "a"), IdentityStore(tmp_path / "b")
    store.open()
    other.open()
    document = enrolled(other).document()
    with pytest.raises(EdgetainerError, match="another key"):
        Identity.from_reply(document, store.key())
    store.close()
    other.close()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"device_id": ""}, "device_id"),
        ({"certificate": "x"}, "certificate"),
        ({"ca": 3}, "ca"),
        ({"ca": "x"}, "ca"),
        ({"tunnel": None}, "tunnel"),
        ({"tunnel": {"addresses": [], "server_name": "t"}}, "tunnel.addresses"),
        ({"tunnel": {"addresses": ["h"], "server_name": "t"}}, "tunnel.addresses"),
        ({"tunnel": {"addresses": ["h:1"]}}, "server_name"),
    ],
)
def test_a_wrong_reply_names_the_field(
    tmp_path: Path, change: dict[str, object], field: str
) -> None:
    store = IdentityStore(tmp_path)
    store.open()
    reply = json.loads(json.dumps(enrolled(store).document())) | change
    with pytest.raises(EdgetainerError) as caught:
        Identity.from_reply(reply, store.key())
    assert (caught.value.code, caught.value.field) == ("protocol_violation", field)
    store.close()


def test_addresses_round_trip() -> None:
    for text in ("example.com:443", "[2001:db8::1]:8444", "10.0.0.1:1"):
        assert format_address(parse_address(text)) == text
    for text in ("", ":1", "h:0", "h:65536", "h:x", "h:²", 5):
        with pytest.raises(EdgetainerError):
            parse_address(text)


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgetainerError) as caught:
        IdentityStore(tmp_path / "file").open()
    assert caught.value.field == "state_dir"
    assert os.listdir(tmp_path) == ["file"]
