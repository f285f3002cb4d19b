"""Signing in, staying signed in, signing out."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList

from edgetainer.domain.access import Role
from edgetainer.services.authentication import GRACE, IDLE, LONGEST
from edgetainer.storage import sessions
from tests.databases import result
from tests.services.home import PASSWORD, now, refusal

SECOND = timedelta(seconds=1)


def _wait(home, span):
    home.clock.advance(span.total_seconds())


def _refresh(home, token):
    return home.authentication.refresh(token, address="192.0.2.1")


def test_signed_in(home):
    signed = home.login("viewer")
    assert signed.expires_in_s == 600
    assert (signed.user.username, signed.user.role) == ("viewer", Role.VIEWER)
    who = now(home.authentication.principal(signed.access_token))
    assert (who.user_id, who.username, who.role) == (home.viewer.user_id, "viewer", Role.VIEWER)
    assert now(home.authentication.me(who)) == signed.user
    assert "auth.login" in home.audited()


def test_names_are_the_same_in_capitals(home):
    signed = now(home.authentication.login(" Admin ", PASSWORD, address="192.0.2.1"))
    assert signed.user.username == "admin"


@pytest.mark.parametrize(("name", "password"), [("admin", "wrong"), ("nobody", PASSWORD)])
def test_whichever_is_wrong_it_looks_the_same(home, name, password):
    error = refusal(home.authentication.login(name, password, address="192.0.2.1"))
    assert (error.code, error.detail) == (
        "invalid_credentials",
        "The user name or password is wrong",
    )
    assert ("auth.login_refused" in home.audited()) == (name == "admin")


def test_guessing_one_account_from_everywhere_is_slowed(home):
    for n in range(10):
        code = refusal(home.authentication.login("admin", "wrong", address=f"192.0.2.{n}")).code
        assert code == "invalid_credentials"
    assert (
        refusal(home.authentication.login("admin", PASSWORD, address="192.0.2.99")).code
        == "too_many_attempts"
    )
    _wait(home, timedelta(minutes=15))
    home.login()


def _guess(home, times, name="admin"):
    for n in range(times):
        refusal(home.authentication.login(name, "wrong", address=f"198.51.100.{n}"))


def test_a_stranger_keeps_nobody_out_of_where_they_sign_in(home):
    home.login(address="2001:db8::1")
    _wait(home, timedelta(days=10))
    _guess(home, 12)
    home.login(address="2001:db8::2")
    assert (
        refusal(home.authentication.login("admin", PASSWORD, address="192.0.2.9")).code
        == "too_many_attempts"
    )
    # Their signing in gives the stranger no further guesses.
    error = refusal(home.authentication.login("admin", "wrong", address="203.0.113.1"))
    assert error.code == "too_many_attempts"


def test_where_somebody_signs_in_others_guess_no_more_than_anywhere(home):
    """Somebody in the same office, who clears the address's count by signing in themselves."""
    home.login(address="192.0.2.1")
    for _ in range(10):
        error = refusal(home.authentication.login("admin", "wrong", address="192.0.2.1"))
        assert error.code == "invalid_credentials"
        home.login("viewer", address="192.0.2.1")
    error = refusal(home.authentication.login("admin", "wrong", address="192.0.2.1"))
    assert error.code == "too_many_attempts"


def test_guessing_every_account_from_one_place_is_slowed(home):
    for n in range(10):
        refusal(home.authentication.login(f"user{n}", "wrong", address="2001:db8::1"))
    error = refusal(home.authentication.login("admin", PASSWORD, address="2001:db8::2"))
    assert error.code == "too_many_attempts"
    home.login(address="2001:db8:0:1::1")


def test_the_throttle_is_before_the_work(home, monkeypatch):
    for _ in range(10):
        refusal(home.authentication.login("admin", "wrong", address="192.0.2.1"))

    def check(*_):
        raise AssertionError("the password was looked at")

    monkeypatch.setattr(home.passwords, "check", check)
    refusal(home.authentication.login("admin", "wrong", address="192.0.2.1"))


def test_an_access_token_lasts_ten_minutes(home):
    signed = home.login()
    _wait(home, timedelta(minutes=10))
    assert refusal(home.authentication.principal(signed.access_token)).code == "session_expired"


def test_refreshing_rotates(home):
    first = home.login()
    second = now(_refresh(home, first.refresh_token))
    assert second.refresh_token != first.refresh_token
    who = now(home.authentication.principal(second.access_token))
    assert who == now(home.authentication.principal(first.access_token))
    third = now(_refresh(home, second.refresh_token))
    assert third.user == first.user


def test_a_reply_that_was_lost_is_asked_again(home):
    first = home.login()
    now(_refresh(home, first.refresh_token))
    _wait(home, GRACE)
    again = now(_refresh(home, first.refresh_token))
    now(home.authentication.principal(again.access_token))


def test_a_stolen_token_ends_the_session_for_everybody(home):
    first = home.login()
    second = now(_refresh(home, first.refresh_token))
    who = now(home.authentication.principal(second.access_token))
    _wait(home, GRACE + SECOND)
    assert refusal(_refresh(home, first.refresh_token)).code == "session_expired"
    assert refusal(_refresh(home, second.refresh_token)).code == "session_expired"
    assert refusal(home.authentication.principal(second.access_token)).code == "session_expired"
    assert refusal(home.authentication.still(who)).code == "session_expired"
    assert "auth.refresh_reused" in home.audited()
    home.login()


@pytest.mark.parametrize("token", ["", "x", "é"])
def test_tokens_that_are_not_ours(home, token):
    assert refusal(_refresh(home, token)).code == "session_expired"


def test_a_session_that_is_not_used_ends(home):
    signed = home.login()
    _wait(home, IDLE - SECOND)
    again = now(_refresh(home, signed.refresh_token))
    _wait(home, IDLE)
    assert refusal(_refresh(home, again.refresh_token)).code == "session_expired"


def test_and_one_that_is_used_ends_too_at_last(home):
    token, days = home.login().refresh_token, 0
    while days + 10 < LONGEST.days:
        _wait(home, timedelta(days=10))
        days += 10
        token = now(_refresh(home, token)).refresh_token
    _wait(home, timedelta(days=LONGEST.days - days))
    assert refusal(_refresh(home, token)).code == "session_expired"


def test_logout(home):
    signed, other = home.login(), home.login()
    now(home.authentication.logout(signed.refresh_token, address=""))
    assert refusal(home.authentication.principal(signed.access_token)).code == "session_expired"
    assert refusal(_refresh(home, signed.refresh_token)).code == "session_expired"
    now(home.authentication.principal(other.access_token))
    now(home.authentication.logout("unheard of", address=""))
    now(home.authentication.logout(signed.refresh_token, address=""))


def test_logout_without_the_cookie(home):
    signed = home.login()
    who = now(home.authentication.principal(signed.access_token))
    now(home.authentication.logout_of(who, address=""))
    assert refusal(home.authentication.principal(signed.access_token)).code == "session_expired"
    assert refusal(_refresh(home, signed.refresh_token)).code == "session_expired"


def test_rights_are_those_of_now(home):
    signed = home.login("operator")
    who = now(home.authentication.principal(signed.access_token))
    now(home.users.update(home.admin, home.operator.user_id, role=Role.VIEWER))
    assert now(home.authentication.principal(signed.access_token)).role is Role.VIEWER
    assert now(home.authentication.still(who)).role is Role.VIEWER
    now(home.users.remove(home.admin, home.operator.user_id))
    assert refusal(home.authentication.principal(signed.access_token)).code == "session_expired"
    assert refusal(home.authentication.still(who)).code == "session_expired"
    assert refusal(_refresh(home, signed.refresh_token)).code == "session_expired"
    assert refusal(home.authentication.me(who)).code == "session_expired"


def test_rights_read_while_they_change_are_not_kept(home):
    """A look-up that overlaps a change must not put what it read before into memory."""
    signed = home.login("operator")
    home.authentication.end_user(home.operator.user_id)
    original, gate = home.database.read, Deferred()

    def slow(fn):
        found = original(fn)
        return gate.addCallback(lambda _: found)

    home.database.read = slow
    asking = Deferred.fromCoroutine(home.authentication.principal(signed.access_token))
    home.database.read = original
    now(home.users.update(home.admin, home.operator.user_id, role=Role.VIEWER))
    gate.callback(None)
    assert result(asking).role is Role.OPERATOR
    assert now(home.authentication.principal(signed.access_token)).role is Role.VIEWER


def test_a_token_of_another_user_does_not_borrow_a_session(home):
    from edgetainer.services.access_tokens import Claims

    signed = home.login("viewer")
    who = now(home.authentication.principal(signed.access_token))
    forged = home.authentication._tokens.issue(Claims(home.admin.user_id, who.session_id))
    assert refusal(home.authentication.principal(forged)).code == "unauthenticated"


def test_nothing_that_signs_in_is_in_the_database(home):
    signed = home.login()
    assert result(home.database.run(lambda c: sessions.token(c, signed.refresh_token))) is None


@pytest_twisted.ensureDeferred
async def test_one_token_refreshed_from_two_sides_at_once(threaded_database, tmp_path):
    """Within the grace both are let on; the used mark is set once."""
    from datetime import UTC, datetime

    from edgetainer.services.access_tokens import AccessTokens
    from edgetainer.services.authentication import Authentication
    from edgetainer.services.passwords import Passwords
    from edgetainer.services.throttle import Throttle
    from edgetainer.services.users import Users

    def clock():
        return datetime.now(UTC)

    hasher = Passwords(pepper=b"p" * 32, reactor=reactor, cost=4)
    throttle = Throttle(now=clock)
    authentication = Authentication(
        database=threaded_database,
        passwords=hasher,
        tokens=AccessTokens(key=b"k" * 32, now=clock),
        throttle=throttle,
        now=clock,
    )
    users = Users(
        database=threaded_database,
        passwords=hasher,
        authentication=authentication,
        throttle=throttle,
        now=clock,
    )
    try:
        password = await users.first_admin()
        signed = await authentication.login("admin", password, address="192.0.2.1")
        asked = [
            Deferred.fromCoroutine(authentication.refresh(signed.refresh_token, address=""))
            for _ in range(6)
        ]
        outcomes = await DeferredList(asked, consumeErrors=True)
        assert [good for good, _ in outcomes] == [True] * 6
        assert len({found.refresh_token for _, found in outcomes}) == 6
    finally:
        hasher.close()
