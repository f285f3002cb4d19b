"""A token once, a key from then on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_twisted
from cryptography import x509
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList

from edgetainer.errors import EdgetainerError
from edgetainer.services.enrolment import Hello
from tests.databases import result
from tests.services.home import Home, device_key, now, refusal
from tests.services.test_authority import request_pem

HOUR = timedelta(hours=1)
HELLO = Hello(hostname="kiosk-7", os_version="Flatcar 4593", hardware_info={"cpus": 4})


def _token(home, **changes):
    values = {"uses": 1, "expires_in": HOUR, **changes}
    return now(home.enrolment.create_token(home.admin, **values))


def _register(home, text, key, hello=HELLO):
    return home.enrolment.register(text, request_pem(key), hello, address="192.0.2.1")


def _verify(home, enrolled):
    return home.identities.verify([x509.load_pem_x509_certificate(enrolled.certificate.encode())])


def test_a_device_enrols(home):
    fleet = now(home.fleets.create(home.admin, name="kiosks", description=None))
    seen = home.watch("devices")
    token, text = _token(home, fleet_id=fleet.id)
    enrolled = now(_register(home, text, device_key()))
    assert enrolled.ca == home.authority.ca_pem
    assert enrolled.tunnel_addresses == ("console.test:8444",)
    assert enrolled.tunnel_server_name == "tunnel.edgetainer"
    device = now(home.devices.get(home.viewer, enrolled.device_id))
    assert (device.name, device.device_id, device.fleet_name) == ("kiosk-7", "kiosk-7", "kiosks")
    assert (device.os_version, device.hardware_info) == ("Flatcar 4593", {"cpus": 4})
    assert (device.status, device.subdomain) == ("pending", "kiosk-7")
    assert _verify(home, enrolled).device_id == enrolled.device_id
    assert [event.data["id"] for event in seen] == [enrolled.device_id]
    ((left, *_), _total) = now(home.enrolment.tokens(home.admin, limit=9, offset=0))
    assert (left.id, left.uses_left) == (token.id, 0)


def test_the_same_again_is_answered_the_same(home):
    _, text = _token(home)
    key = device_key()
    first = now(_register(home, text, key))
    assert now(_register(home, text, key)) == first
    home.clock.advance(2 * HOUR.total_seconds())
    # Neither the token's end nor its uses matter to who has enrolled with it.
    assert now(_register(home, text, key)) == first
    _, total = now(home.devices.page(home.viewer, limit=9, offset=0))
    assert total == 1
    assert home.audited().count("provision.register") == 1


def test_after_a_restart_too(home, tmp_path):
    _, text = _token(home)
    key = device_key()
    first = now(_register(home, text, key))
    home.identities._devices.clear()
    assert now(_register(home, text, key)) == first
    assert _verify(home, first).device_id == first.device_id
    home.identities._devices.clear()
    now(home.identities.load())
    assert _verify(home, first).device_id == first.device_id


def test_a_stranger_keeps_nobody_from_writing(home, monkeypatch):
    def run(_fn):
        raise AssertionError("a transaction that may write was begun")

    monkeypatch.setattr(home.database, "run", run)
    error = refusal(home.enrolment.register("guessed", "no request", HELLO, address="192.0.2.1"))
    assert error.code == "token_unknown"


@pytest.mark.parametrize("case", ["unknown", "expired", "used", "deleted", "bad request"])
def test_refused_and_nothing_is_left_behind(home, case):
    token, text = _token(home)
    csr = request_pem(device_key())
    expected = {
        "unknown": "token_unknown", "expired": "token_expired", "used": "token_used",
        "deleted": "token_unknown", "bad request": "csr_invalid",
    }[case]  # fmt: skip
    devices = 0
    if case == "unknown":
        text += "x"
    elif case == "expired":
        home.clock.advance(HOUR.total_seconds())
    elif case == "used":
        now(_register(home, text, device_key()))
        devices = 1
    elif case == "deleted":
        now(home.enrolment.remove_token(home.admin, token.id))
    else:
        csr = "nonsense"
    attempt = home.enrolment.register(text, csr, HELLO, address="192.0.2.1")
    assert refusal(attempt).code == expected
    assert now(home.devices.page(home.viewer, limit=9, offset=0))[1] == devices
    assert len(home.identities._devices) == devices


def test_a_token_with_uses(home):
    _, text = _token(home, uses=2)
    first = now(_register(home, text, device_key()))
    second = now(_register(home, text, device_key()))
    assert first.device_id != second.device_id
    names = [now(home.devices.get(home.viewer, one.device_id)).device_id for one in (first, second)]
    assert names[0] == "kiosk-7"
    assert names[1].startswith("kiosk-7-")
    assert refusal(_register(home, text, device_key())).code == "token_used"


def test_a_revoked_key_does_not_come_back(home):
    _, text = _token(home, uses=9)
    key = device_key()
    enrolled = now(_register(home, text, key))
    line = home.connect(enrolled.device_id)
    now(home.devices.revoke(home.admin, enrolled.device_id))
    assert line.closed_with == "certificate_refused"
    with pytest.raises(EdgetainerError, match="revoked"):
        _verify(home, enrolled)
    assert refusal(_register(home, text, key)).code == "certificate_refused"
    _, other = _token(home)
    assert refusal(_register(home, other, key)).code == "certificate_refused"
    now(home.identities.load())
    with pytest.raises(EdgetainerError, match="revoked"):
        _verify(home, enrolled)


def test_revoked_between_being_stored_and_being_accepted(home, monkeypatch):
    accept = home.identities.accept

    async def late(fingerprint, device_id):
        await home.devices.revoke(home.admin, device_id)
        await accept(fingerprint, device_id)

    monkeypatch.setattr(home.identities, "accept", late)
    enrolled = now(_register(home, _token(home)[1], device_key()))
    with pytest.raises(EdgetainerError, match="revoked"):
        _verify(home, enrolled)


def test_revoked_while_it_is_being_accepted(home, monkeypatch):
    accept, read = home.identities.accept, home.database.read

    async def raced(fingerprint, device_id):
        def before(fn):
            found = read(fn)
            monkeypatch.setattr(home.database, "read", read)
            now(home.devices.revoke(home.admin, device_id))
            return found

        monkeypatch.setattr(home.database, "read", before)
        await accept(fingerprint, device_id)

    monkeypatch.setattr(home.identities, "accept", raced)
    enrolled = now(_register(home, _token(home)[1], device_key()))
    with pytest.raises(EdgetainerError, match="revoked"):
        _verify(home, enrolled)


def test_a_deleted_devices_key_may_enrol_anew(home):
    key = device_key()
    first = now(_register(home, _token(home)[1], key))
    now(home.devices.remove(home.admin, first.device_id))
    second = now(_register(home, _token(home)[1], key))
    assert second.device_id != first.device_id
    assert _verify(home, second).device_id == second.device_id


def test_a_known_key_with_a_fresh_token_gets_a_fresh_certificate(home):
    key = device_key()
    first = now(_register(home, _token(home)[1], key))
    home.clock.advance(60)
    second = now(_register(home, _token(home)[1], key))
    assert second.device_id == first.device_id
    assert second.certificate != first.certificate
    assert _verify(home, second).device_id == first.device_id


def test_an_expected_device(home):
    id_ = home.device("till-3")
    token, text = _token(home, device_id=id_)
    assert token.device_id == id_
    key = device_key()
    enrolled = now(_register(home, text, key))
    assert enrolled.device_id == id_
    assert now(home.devices.get(home.viewer, id_)).os_version == "Flatcar 4593"
    line = home.connect(id_)
    # Its disk was replaced: another key takes the place of the first.
    again = now(_register(home, _token(home, device_id=id_)[1], device_key()))
    assert again.device_id == id_
    assert line.closed_with == "certificate_refused"
    with pytest.raises(EdgetainerError, match="revoked"):
        _verify(home, enrolled)
    assert _verify(home, again).device_id == id_


def test_another_devices_key_is_not_taken_over(home):
    key = device_key()
    now(_register(home, _token(home)[1], key))
    _, text = _token(home, device_id=home.device("till-3"))
    assert refusal(_register(home, text, key)).code == "already_exists"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fleet_id": str(uuid4())}, "fleet_id"),
        ({"device_id": str(uuid4())}, "device_id"),
        ({"device_id": str(uuid4()), "uses": 2}, "device_id"),
    ],
)
def test_tokens_that_cannot_be_made(home, changes, field):
    values = {"uses": 1, "expires_in": HOUR, **changes}
    error = refusal(home.enrolment.create_token(home.admin, **values))
    assert (error.code, error.field) == ("invalid_field", field)


def test_tokens_are_for_admins(home):
    token, _ = _token(home)
    for who in (home.operator, home.viewer):
        create = home.enrolment.create_token(who, uses=1, expires_in=HOUR)
        assert refusal(create).code == "forbidden"
        assert refusal(home.enrolment.tokens(who, limit=1, offset=0)).code == "forbidden"
        assert refusal(home.enrolment.remove_token(who, token.id)).code == "forbidden"
    assert refusal(home.enrolment.remove_token(home.admin, str(uuid4()))).code == "not_found"


def test_a_token_is_256_bits_and_not_in_the_database(home):
    _, text = _token(home)
    assert len(text.removeprefix("edgt_")) == 43

    def dump(connection):
        from sqlalchemy import select

        from edgetainer.storage import tables

        return [
            repr(row)
            for table in tables.metadata.sorted_tables
            for row in connection.execute(select(table))
        ]

    rows = result(home.database.read(dump))
    assert len(rows) > 4
    assert not [row for row in rows if text in row or text.removeprefix("edgt_") in row]


def test_certificates_of_strangers(home, tmp_path):
    from edgetainer.services.authority import Authority, read_request

    other = Authority(tmp_path / "other", now=home.now)
    issued = other.issue(read_request(request_pem(device_key())), str(uuid4()))
    with pytest.raises(EdgetainerError) as caught:
        home.identities.verify([x509.load_pem_x509_certificate(issued.certificate.encode())])
    assert caught.value.code == "certificate_refused"
    with pytest.raises(EdgetainerError) as caught:
        home.identities.verify([])
    assert caught.value.code == "certificate_refused"


@pytest_twisted.ensureDeferred
async def test_one_use_is_one_device_however_many_ask_at_once(threaded_database, tmp_path):
    home = await _threaded_home(threaded_database, tmp_path)
    _, text = await home.enrolment.create_token(home.admin, uses=3, expires_in=HOUR)
    keys = [device_key() for _ in range(8)]
    # Each asks twice at once, as an agent does that does not wait long enough.
    asked = [Deferred.fromCoroutine(_register(home, text, key)) for key in keys for _ in "ab"]
    outcomes = await DeferredList(asked, consumeErrors=True)
    good = {found.device_id for ok, found in outcomes if ok}
    refused = {failure.value.code for ok, failure in outcomes if not ok}
    assert (len(good), refused) == (3, {"token_used"})
    assert sum(ok for ok, _ in outcomes) == 6
    _, total = await home.devices.page(home.admin, limit=99, offset=0)
    assert total == 3


async def _threaded_home(database, tmp_path):
    """`Home` makes its people at once, which threads do not."""
    from edgetainer.domain.access import SYSTEM

    class Patient(Home):
        def person(self, role, name=None):
            return SYSTEM

        def now(self):
            return datetime.now(UTC)

    assert database._reactor is reactor
    return Patient(database, tmp_path)
