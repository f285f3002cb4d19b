"""A value is read the same from wherever it came, or refused with what it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgetainer import config_values as values


@pytest.mark.parametrize(
    ("read", "given", "expected"),
    [
        (values.a_path, "x", Path.cwd() / "x"),
        (values.a_host, "Console.Example.COM.", "console.example.com"),
        (values.an_interface, "::0001", "::1"),
        (values.a_port, 8443, 8443),
        (values.a_port, " 8443 ", 8443),
        (values.addresses, "a:1, [::1]:2", ("a:1", "[::1]:2")),
        (values.addresses, ["a:1"], ("a:1",)),
        (values.seconds(0, 9), "1.5", 1.5),
        (values.seconds(0, 9), 2, 2.0),
        (values.a_database_url, "postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_read(read: Any, given: Any, expected: Any) -> None:
    assert read(given) == expected


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (values.a_text, 1),
        (values.a_path, ""),
        (values.a_host, "a..b"),
        (values.a_host, "a\n"),
        (values.a_host, "a." * 127 + "aa"),
        (values.a_port, True),
        (values.a_port, "\uff11\uff12"),
        (values.a_port, 1.0),
        (values.a_port, "9" * 5000),
        (values.addresses, []),
        (values.addresses, ["a:1"] * 17),
        (values.addresses, ["::1"]),
        (values.addresses, ["a:65536"]),
        (values.addresses, ["a:\u00b2"]),
        (values.seconds(0, 9), float("nan")),
        (values.seconds(0, 9), True),
        (values.seconds(0, 9), None),
        (values.a_database_url, "sqlite:relative"),
        (values.a_log_level, ["info"]),
    ],
)
def test_refused(read: Any, given: Any) -> None:
    with pytest.raises(values.Refused):
        read(given)
