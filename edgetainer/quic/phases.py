"""What the controller does when: its phases, and how each shapes the flow."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Phase(Enum):
    """Where a flow is in its model of the path (draft-ietf-ccwg-bbr, section 4.3)."""

    STARTUP = "startup"
    """The bandwidth is not known: grow until delivery does not follow."""
    DRAIN = "drain"
    """Start-up left a queue: let it go."""
    CRUISE = "cruise"
    """Send as fast as the path delivers."""
    PROBE = "probe"
    """Send a little faster: is there more?"""
    YIELD = "yield"
    """A queue stands: send a little slower until it is gone."""
    COMPETE = "compete"
    """Somebody else fills the queue: take a share of it (`rival.py`)."""
    PROBE_RTT = "probe_rtt"
    """Send so little that the queue must be empty: how long is the path?"""


class Shape(NamedTuple):
    """How a phase shapes the flow, in multiples of what the model says.

    :param pacing: of the bandwidth.
    :param window: of the bandwidth-delay product.
    """

    pacing: float
    window: float


SHAPES: dict[Phase, Shape] = {
    # 2.77 = 4 ln 2 doubles what is delivered in each round (BBRv3); the window lets
    # it more than double while no queue shows, which is what satellites need.
    Phase.STARTUP: Shape(2.77, 2.4),
    Phase.DRAIN: Shape(0.5, 1.0),
    Phase.CRUISE: Shape(0.99, 1.35),
    Phase.PROBE: Shape(1.1, 1.35),
    Phase.YIELD: Shape(0.88, 1.1),
    # Its window is the rival's; pacing only keeps it from being a burst.
    Phase.COMPETE: Shape(1.2, 1.0),
    Phase.PROBE_RTT: Shape(1.0, 0.5),
}
