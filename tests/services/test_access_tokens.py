from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from edgetainer.errors import EdgetainerError
from edgetainer.services.access_tokens import LIFE, AccessTokens, Claims

KEY = b"k" * 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLAIMS = Claims("u-1", "s-1")


def _door(now=NOW, key=KEY):
    return AccessTokens(key=key, now=lambda: now)


def _payload(**changes):
    stamp = int(NOW.timestamp())
    payload = {
        "sub": "u-1", "sid": "s-1", "aud": "edgetainer", "jti": "j", "iat": stamp,
        "exp": stamp + 600,
    } | changes  # fmt: skip
    return {name: value for name, value in payload.items() if value is not None}


def _refused(token, door=None):
    with pytest.raises(EdgetainerError) as caught:
        (door or _door()).read(token)
    return caught.value.code


def test_there_and_back():
    token = _door().issue(CLAIMS)
    assert _door(NOW + LIFE - timedelta(seconds=1)).read(token) == CLAIMS
    assert _refused(token, _door(NOW + LIFE)) == "session_expired"
    assert jwt.decode(token, KEY, algorithms=["HS256"], audience="edgetainer",
                      options={"verify_exp": False})["exp"] == NOW.timestamp() + 600  # fmt: skip


def test_what_the_hand_made_tokens_below_differ_from():
    assert _door().read(jwt.encode(_payload(), KEY, algorithm="HS256")) == CLAIMS


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "jti", "aud", "sid"])
def test_every_claim_is_required(claim):
    assert _refused(jwt.encode(_payload(**{claim: None}), KEY, algorithm="HS256")) == (
        "unauthenticated"
    )


@pytest.mark.parametrize(
    "changes",
    [{"aud": "other"}, {"exp": "soon"}, {"exp": 10**30}, {"sid": 7}, {"sub": ["u-1"]}],
    ids=str,
)
def test_odd_claims(changes):
    try:
        token = jwt.encode(_payload(**changes), KEY, algorithm="HS256")
    except TypeError:
        head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
        body = base64.urlsafe_b64encode(json.dumps(_payload(**changes)).encode()).rstrip(b"=")
        signer = jwt.get_algorithm_by_name("HS256")
        mac = base64.urlsafe_b64encode(signer.sign(head + b"." + body, KEY)).rstrip(b"=")
        token = b".".join([head, body, mac]).decode()
    assert _refused(token) == "unauthenticated"


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_other_algorithms(algorithm):
    key = None if algorithm == "none" else b"k" * 64
    token = jwt.encode(_payload(), key, algorithm=algorithm)
    assert _refused(token, _door(key=b"k" * 64)) == "unauthenticated"


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é", "x" * 4000])
def test_nonsense(token):
    assert _refused(token) == "unauthenticated"


def test_another_key():
    assert _refused(_door(key=b"o" * 32).issue(CLAIMS)) == "unauthenticated"


def test_a_short_key_is_refused():
    with pytest.raises(EdgetainerError) as caught:
        _door(key=b"k" * 31)
    assert caught.value.code == "config_invalid"
