"""Names to host names and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetainer.domain import naming
from edgetainer.domain.naming import AppName, parse_app_host, parse_authority

ZONE = "apps.example.com"


@pytest.mark.parametrize("name", ["a", "7", "device-123", "a" * 31])
def test_good_subdomains(name):
    assert naming.subdomain_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "a" * 32, "-a", "a-", "a--b", "A", "a.b", "a_b", "ü", "a\n", "www", "admin", "a b"],
)
def test_bad_subdomains(name):
    assert naming.subdomain_problem(name)


def test_a_service_may_not_make_an_internationalised_label():
    assert naming.service_problem("xn")
    assert naming.service_problem("web") is None
    assert naming.service_problem("a" * 31)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Büro 3 / Kasse", "buro-3-kasse"),
        ("  ", "device"),
        ("日本", "device"),
        ("a" * 40, "a" * 31),
        ("a" * 30 + " b", "a" * 30),
        ("x--y", "x-y"),
    ],
)
def test_slug(text, expected):
    assert naming.slug(text, limit=31, fallback="device") == expected


@given(st.text(max_size=80), st.sampled_from(["k3x9", "aaaaaaaa"]))
def test_candidates_are_always_usable(name, extra):
    for candidate in naming.subdomains(name, [extra]):
        assert naming.subdomain_problem(candidate) is None


def test_a_reserved_name_gets_a_suffix():
    assert list(naming.subdomains("Admin", ["k3x9"])) == ["admin-k3x9"]
    assert list(naming.subdomains("Kiosk 7", ["k3x9"])) == ["kiosk-7", "kiosk-7-k3x9"]


def test_addresses():
    assert naming.app_url("dev-1", apps_domain=ZONE) == "https://dev-1.apps.example.com/"
    assert (
        naming.app_url("dev-1", "web", apps_domain=ZONE, port=8443)
        == "https://web--dev-1.apps.example.com:8443/"
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("dev-1.apps.example.com", AppName("dev-1", None)),
        ("WEB--Dev-1.Apps.example.com", AppName("dev-1", "web")),
        ("apps.example.com", None),
        (".apps.example.com", None),
        ("a.b.apps.example.com", None),
        ("web--.apps.example.com", None),
        ("--dev.apps.example.com", None),
        ("a--b--c.apps.example.com", None),
        ("web---dev.apps.example.com", None),
        ("xn--dev.apps.example.com", None),
        ("dev.apps.example.com.", None),
        ("devapps.example.com", None),
        ("dev.apps.example.com.evil", None),
        ("admin.apps.example.com", None),
    ],
)
def test_host_names(host, expected):
    assert parse_app_host(host, apps_domain=ZONE) == expected


_label = st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,12}", fullmatch=True)


@given(_label, st.none() | _label)
def test_there_and_back(subdomain, service):
    if naming.subdomain_problem(subdomain) or (service and naming.service_problem(service)):
        return
    label = naming.app_label(subdomain, service)
    assert len(label) <= 63
    assert parse_app_host(f"{label}.{ZONE}", apps_domain=ZONE) == AppName(subdomain, service)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Example.com", ("example.com", None)),
        ("example.com:8443", ("example.com", 8443)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:8443", ("[::1]", 8443)),
        ("", None),
        ("a@b", None),
        ("a@b/x", None),
        ("a:0", None),
        ("a:65536", None),
        ("a:b", None),
        ("a:", None),
        ("a b", None),
        ("a\n", None),
        ("a.", None),
        (".a", None),
        ("a..b", None),
        ("a,b", None),
        ("::1", None),
        ("a" * 254, None),
    ],
)
def test_authorities(value, expected):
    assert parse_authority(value) == expected
