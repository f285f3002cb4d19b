"""Fixtures of the services' tests."""

from __future__ import annotations

import pytest

from tests.services.home import Home
from tests.services.world import World


@pytest.fixture
def world(database):
    """The services of workloads on a database of each kind."""
    return World(database)


@pytest.fixture
def home(database, tmp_path):
    """The services of identity on a database of each kind."""
    return Home(database, tmp_path)
