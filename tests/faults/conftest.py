"""What the tests of this folder share."""

from tests.quic.conftest import logged_failures as logged_failures
