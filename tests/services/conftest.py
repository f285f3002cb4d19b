"""Fixtures of the services' tests."""

from __future__ import annotations

import pytest

from tests.services.world import World


@pytest.fixture
def world(database):
    """The services of workloads on a database of each kind."""
    return World(database)
