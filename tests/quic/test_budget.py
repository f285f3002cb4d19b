"""What connections may have beyond their minimum, shared among them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetainer.quic.budget import Budget
from edgetainer.quic.crediting import Limits
from tests.quic.pair import Pair, Recorder, Stubborn

MIB = 1024 * 1024


def test_what_is_granted_comes_back() -> None:
    budget = Budget(1_000)
    share = budget.share()
    assert share.take(400)
    assert (share.held, budget.used, budget.holders) == (400, 400, 1)
    share.give_back(150)
    assert (share.held, budget.used) == (250, 250)
    share.close()
    assert (share.held, budget.used, budget.holders) == (0, 0, 0)
    assert not share.take(1)


def test_nobody_gets_more_than_there_is() -> None:
    budget = Budget(1_000)
    share = budget.share()
    assert not share.take(1_001)
    assert share.take(1_000)
    assert not share.take(1)
    assert share.take(0)


def test_the_second_half_is_shared_fairly() -> None:
    budget = Budget(1_000)
    greedy, late = budget.share(), budget.share()
    assert greedy.take(500)
    assert late.take(100)
    assert not greedy.take(1), "it has its half already"
    assert late.take(400)
    assert not late.take(1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-600, 600)), max_size=60))
def test_the_books_balance(steps: list[tuple[int, int]]) -> None:
    budget = Budget(1_000)
    shares = [budget.share() for _ in range(4)]
    for at, count in steps:
        if count < 0:
            shares[at].give_back(-count)
        else:
            shares[at].take(count)
        assert budget.used == sum(share.held for share in shares) <= budget.total
        assert budget.holders == sum(share.held > 0 for share in shares)
    for share in shares:
        share.close()
    assert (budget.used, budget.holders) == (0, 0)


def test_a_spent_budget_slows_and_breaks_nothing() -> None:
    """Two stalled readers are lent what there is; a third stream goes on beside them."""
    budget = Budget(MIB)
    pair = Pair(client={"limits": Limits(peer_streams=50, budget=budget)})
    stalled = [(Recorder(), Stubborn()) for _ in range(2)]
    for writer, reader in stalled:
        pair.channel(writer, reader)
    alive, reader = Recorder(), Recorder()
    pair.channel(alive, reader)
    stalled[0][0].transport.write(bytes(MIB))
    pair.network.pass_time(10)
    assert 0 < budget.used <= MIB
    alive.transport.write(bytes(3 * MIB))
    pair.network.until(lambda: len(reader.data) == 3 * MIB)
    stalled[1][0].transport.write(bytes(MIB))
    pair.network.pass_time(10)
    assert budget.used <= MIB
    for _, stubborn in stalled:
        stubborn.transport.resumeProducing()
        pair.network.until(lambda stubborn=stubborn: len(stubborn.data) == MIB)  # type: ignore[misc]
    over = pair.server_connection.notify_close()
    pair.client.close()
    pair.network.run(over)
    assert budget.used == 0
