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


def test_the_start_is_told_while_it_runs_and_only_when_it_is_a_moment() -> None:
    def up_since(status: str, started_at: str) -> object:
        container = Container.read(
            {
                "Id": "c",
                "Name": "/c",
                "Config": {"Labels": {PROJECT_LABEL: "et-shop"}},
                "State": {"Status": status, "ExitCode": 0, "StartedAt": started_at},
            },
            "et-",
        )
        return container.document()["started_at"]

    assert up_since("running", "2026-01-02T03:04:05.678901234Z") == "2026-01-02T03:04:05Z"
    assert up_since("exited", "2026-01-02T03:04:05.678901234Z") is None
    assert up_since("running", "") is None
