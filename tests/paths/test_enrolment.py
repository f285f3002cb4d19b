"""From a token to a tunnel and back out: the real certificates in a real handshake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edgetainer.errors import EdgetainerError
from edgetainer.services.authority import TUNNEL_NAME
from edgetainer.services.enrolment import Enrolled, Hello
from tests import network
from tests.authority import Leaf
from tests.services.home import Home, device_key, now
from tests.services.test_authority import request_pem
from tests.world import World


class Today(Home):
    """aioquic reads certificate dates off the wall clock, so this does too."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class OurAuthority:
    """The installation's authority where the network's own stands."""

    def __init__(self, home: Home) -> None:
        self.certificate = home.authority.certificate
        self.pem = home.authority.ca_pem.encode()
        self._tunnel = home.authority.tunnel

    def server(self, name: str) -> Leaf:
        assert name == TUNNEL_NAME
        key: Any = load_pem_private_key(self._tunnel.private_key, None)
        return Leaf(x509.load_pem_x509_certificate(self._tunnel.certificate_chain), key)


class Place(World):
    """One installation: its tunnel and its services."""

    def __init__(self, database: Any, folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "SERVER_NAME", TUNNEL_NAME)
        self.home: Home | None = None
        super().__init__()
        self.home = Today(database, folder, switchboard=self.switchboard)
        self.network.authority = OurAuthority(self.home)
        self.server.set_tls(self.network.server_tls(verify_client=self.verify))

    def verify(self, chain: list[Any]) -> Any:
        assert self.home is not None
        return self.home.identities.verify(chain)

    def register(self, key: ec.EllipticCurvePrivateKey) -> Enrolled:
        assert self.home is not None
        made = self.home.enrolment.create_token(
            self.home.admin, uses=1, expires_in=timedelta(hours=1)
        )
        _, text = now(made)
        hello = Hello(hostname="kiosk")
        return now(self.home.enrolment.register(text, request_pem(key), hello, address=""))

    def dial(self, enrolled: Enrolled, key: ec.EllipticCurvePrivateKey) -> Any:
        leaf = Leaf(x509.load_pem_x509_certificate(enrolled.certificate.encode()), key)
        return self.device(enrolled.device_id, leaf=leaf)


@pytest.fixture
def place(database, tmp_path, monkeypatch):
    return Place(database, tmp_path, monkeypatch)


def test_enrolled_connected_revoked(place):
    key = device_key()
    enrolled = place.register(key)
    device = place.dial(enrolled, key)
    place.until(lambda: device.connected)
    assert place.switchboard.online() == {enrolled.device_id}
    at = place.now
    now(place.home.devices.revoke(place.home.admin, enrolled.device_id))
    place.until(lambda: not device.connected)
    # "Revocation closes a live connection within a second."
    assert place.now - at <= 1
    assert place.switchboard.online() == frozenset()
    place.until(lambda: len(device.attempts) >= 4)
    assert not device.connected


def test_a_certificate_without_its_key_is_worth_nothing(place):
    key = device_key()
    enrolled = place.register(key)
    thief = place.dial(enrolled, device_key())
    place.until(lambda: len(thief.attempts) >= 3)
    assert place.switchboard.online() == frozenset()


def test_a_deleted_device_is_out(place):
    key = device_key()
    enrolled = place.register(key)
    device = place.dial(enrolled, key)
    place.until(lambda: device.connected)
    now(place.home.devices.remove(place.home.admin, enrolled.device_id))
    place.until(lambda: not device.connected)
    with pytest.raises(EdgetainerError):
        place.switchboard.session(enrolled.device_id)
