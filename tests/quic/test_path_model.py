"""What is remembered of paths, and what a start from memory does."""

from __future__ import annotations

import pytest

from edgetainer.quic.congestion import ModelBased
from edgetainer.quic.path_model import PathMemory, PathModel, network_of
from tests.events import Events
from tests.link import Link, Path
from tests.quic.flow import Flow

KNOWN = PathModel(bandwidth=1_000_000.0, min_rtt=0.2)


def test_memory_is_bounded_in_entries_and_age() -> None:
    memory: PathMemory[str] = PathMemory(entries=2, lasts=60.0)
    for at, key in enumerate("abc"):
        memory.remember(key, KNOWN, float(at))
    assert [memory.recall(key, 3.0) is KNOWN for key in "abc"] == [False, True, True]
    assert memory.recall("c", 62.0) is KNOWN
    assert memory.recall("c", 63.0) is None


def test_neighbours_are_of_one_network() -> None:
    assert network_of("192.0.2.7") == network_of("192.0.2.200") == "192.0.2.0/24"
    assert network_of("::ffff:192.0.2.7") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert network_of("no address") == "no address"


def controller(rtt: float) -> ModelBased:
    made = ModelBased(max_datagram_size=1200)
    made.on_rtt_measurement(now=1.0, rtt=rtt)
    return made


def test_it_starts_at_half_of_what_it_remembers() -> None:
    made = controller(0.21)
    made.start_from(KNOWN)
    assert made.congestion_window == pytest.approx(KNOWN.bdp / 2, rel=0.01)
    assert made.pacing_rate == pytest.approx(KNOWN.bandwidth / 2)


@pytest.mark.parametrize("rtt", [0.02, 0.6])
def test_another_round_trip_is_another_path(rtt: float) -> None:
    made, other = controller(rtt), controller(rtt)
    made.start_from(KNOWN)
    assert made.congestion_window == other.congestion_window
    assert made.pacing_rate == other.pacing_rate


def first_seconds(path: Path, model: PathModel | None) -> tuple[float, Link]:
    link, events = Link(path, seed=4), Events()
    flow = Flow(events, link.up, link.down, rtt=link.rtt)
    if model is not None:
        flow.controller.start_from(model)
    events.run(3.0)
    return flow.rate(0.0, 3.0), link


def test_a_known_satellite_is_full_at_once() -> None:
    path = Path(rate=10e6, delay=0.3, loss=0.01)
    anew, _ = first_seconds(path, None)
    known, _ = first_seconds(path, PathModel(10e6 / 8, 0.6))
    print(f"in the first three seconds: anew {anew / 1e6:.1f}, known {known / 1e6:.1f} Mbit/s")
    assert known > 1.4 * anew


def test_a_memory_that_is_wrong_by_ten_times_is_given_up() -> None:
    path = Path(rate=2e6, delay=0.05)
    anew, before = first_seconds(path, None)
    wrong, after = first_seconds(path, PathModel(20e6 / 8, 0.1))
    print(f"overflowed: {before.up.overflowed} anew, {after.up.overflowed} from memory")
    assert wrong > 0.8 * anew
    assert after.up.overflowed < before.up.overflowed + 150
