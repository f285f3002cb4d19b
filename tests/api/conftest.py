"""Fixtures of the API's tests."""

from __future__ import annotations

import pytest

from tests.api.console import Console
from tests.services.world import World


@pytest.fixture
def console(database):
    """The API of workloads on a database of each kind."""
    return Console(World(database))
