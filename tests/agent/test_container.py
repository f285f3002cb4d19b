from __future__ import annotations

from edgetainer_agent.container import NUMBER_LABEL, PROJECT_LABEL, Container, Port


def test_what_an_image_claims_cannot_break_the_list() -> None:
    declared = ["80/tcp", "080/tcp", "80", "²/tcp", "9" * 5_000, "70000/tcp", "0/tcp", "/", ""]
    container = Container.read(
        {
            "Id": "c",
            "Name": "/c",
            "Config": {
                "Labels": {PROJECT_LABEL: "et-shop", NUMBER_LABEL: "9" * 5_000},
                "ExposedPorts": {key: {} for key in declared},
            },
            "State": {"Status": "running", "ExitCode": 0},
        },
        "et-",
    )
    assert container.ports == (Port(80, "tcp"),)
    assert container.number == 0
