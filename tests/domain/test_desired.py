from __future__ import annotations

import pytest

from edgetainer.domain.desired import Wanted, effective, standing


def wanted(software: str, deployment: str, *, for_device: bool) -> Wanted:
    return Wanted(
        deployment_id=deployment,
        software_id=software,
        name=f"stack-{software}",
        version="1",
        compose="",
        for_device=for_device,
    )


def test_the_device_goes_before_its_fleet_in_either_order() -> None:
    own, fleets = wanted("a", "own", for_device=True), wanted("a", "fleet", for_device=False)
    assert effective([own, fleets]) == (own,)
    assert effective([fleets, own]) == (own,)


def test_different_software_lives_side_by_side_in_the_order_of_names() -> None:
    a, b = wanted("a", "1", for_device=False), wanted("b", "2", for_device=True)
    assert effective([b, a]) == (a, b)
    assert effective([]) == ()


@pytest.mark.parametrize(
    ("devices", "deployed", "failed", "expected"),
    [
        (0, 0, 0, ("pending", "")),
        (1, 0, 0, ("pending", "")),
        (1, 1, 0, ("deployed", "")),
        (1, 0, 1, ("failed", "no such image")),
        (3, 2, 0, ("pending", "2 of 3 devices done")),
        (3, 3, 0, ("deployed", "")),
        (3, 2, 1, ("failed", "1 of 3 devices failed: no such image")),
    ],
)
def test_how_a_deployment_stands(devices, deployed, failed, expected) -> None:
    failure = "no such image" if failed else None
    assert standing(devices=devices, deployed=deployed, failed=failed, failure=failure) == expected
