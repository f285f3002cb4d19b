from __future__ import annotations

from edgetainer.quic.allowance import Allowance


def test_an_allowance_is_refilled_to_its_burst() -> None:
    allowance = Allowance(10, 2.0)
    assert allowance.take(0.0, 10)
    assert not allowance.take(0.0)
    assert allowance.take(1.0, 2)
    assert not allowance.take(1.0)
    assert allowance.refill(1000.0) == 10
