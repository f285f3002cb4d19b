from __future__ import annotations

import pytest

from edgetainer.domain.compose_ports import MAX_PORTS, Port, parse_expose, parse_ports
from edgetainer.errors import EdgetainerError


@pytest.mark.parametrize(
    ("entry", "ports"),
    [
        (80, [Port(80)]),
        ("80", [Port(80)]),
        ("8080:80", [Port(80)]),
        ("127.0.0.1:8080:80", [Port(80)]),
        ("127.0.0.1::80", [Port(80)]),
        ("[::1]:8080:80", [Port(80)]),
        ("53:53/udp", [Port(53, "udp")]),
        ("9090-9091:8080-8081", [Port(8080), Port(8081)]),
        ("${PORT:-8080}:80", [Port(80)]),
        ("8080:${PORT}", []),
        ("8080:${PORT:-80}", []),
        ({"target": 80, "published": "8080"}, [Port(80)]),
        ({"target": 53, "protocol": "udp"}, [Port(53, "udp")]),
    ],
)
def test_the_container_side_of_each_form(entry: object, ports: list[Port]) -> None:
    assert parse_ports([entry], "services.web.ports") == ports


@pytest.mark.parametrize(
    "entry",
    ["web", "80:web", "0", "65536", "80-70", "80/http", "", {}, {"target": "x"}, None, [80], True],
)
def test_what_is_no_port_is_refused_with_its_path(entry: object) -> None:
    with pytest.raises(EdgetainerError) as caught:
        parse_ports([80, entry], "services.web.ports")
    assert caught.value.code == "compose_invalid"
    assert caught.value.field == "services.web.ports[1]"


def test_expose_has_container_ports_only() -> None:
    assert parse_expose([80, "443/tcp", "5000-5001"], "p") == [
        Port(80),
        Port(443),
        Port(5000),
        Port(5001),
    ]
    with pytest.raises(EdgetainerError):
        parse_expose(["80:80"], "p")


def test_the_number_of_ports_is_bounded() -> None:
    with pytest.raises(EdgetainerError, match="spans more than"):
        parse_ports([f"1-{MAX_PORTS + 1}"], "p")
    with pytest.raises(EdgetainerError, match="lists more than"):
        parse_ports(list(range(1, MAX_PORTS + 2)), "p")
    assert len(parse_ports([f"1-{MAX_PORTS}"], "p")) == MAX_PORTS


def test_only_a_list_will_do() -> None:
    assert parse_ports(None, "p") == []
    with pytest.raises(EdgetainerError, match="must be a list"):
        parse_ports("80:80", "p")
