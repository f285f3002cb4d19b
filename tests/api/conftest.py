"""Fixtures of the API's tests."""

from __future__ import annotations

import pytest

from tests.api.console import Console
from tests.api.installation import Installation
from tests.services.home import Home
from tests.services.world import World


@pytest.fixture
def console(database):
    """The API of workloads on a database of each kind."""
    return Console(World(database))


@pytest.fixture
def api(database, tmp_path):
    """The whole API on a database of each kind."""
    return Installation(Home(database, tmp_path))
