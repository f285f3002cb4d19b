"""A connection starts from memory, and memory learns from connections."""

from __future__ import annotations

from edgetainer.quic.path_model import PathModel
from edgetainer.tunnel.path_keeper import EVERY_S, PathKeeper, alike
from tests.link import Link, Path
from tests.quic.pair import Pair, Recorder, Source

PATH = Path(rate=8e6, delay=0.05)


def transfer(pair: Pair, size: int) -> float:
    """Seconds that so many bytes take from the client to the server."""
    recorder = Recorder()
    pair.server_session.accept_streams = lambda: recorder
    writer = Recorder()
    pair.session.open_stream(writer)
    began = pair.network.clock.seconds()
    Source(pair.network, writer.transport, size)
    pair.network.until(lambda: len(recorder.data) == size)
    return pair.network.clock.seconds() - began


def test_the_next_connection_starts_where_the_last_one_was() -> None:
    kept: list[PathModel] = []
    took = []
    for _ in range(2):
        pair = Pair(link=Link(PATH, seed=2))
        PathKeeper(
            reactor=pair.network.reactor,
            connection=pair.client,
            recall=lambda: kept[-1] if kept else None,
            remember=kept.append,
        )
        took.append(transfer(pair, 300_000))
        transfer(pair, 1_000_000)
        pair.client.close()
        pair.network.pass_time(1.0)
    print(f"300 kB took {took[0]:.2f} s anew, {took[1]:.2f} s from memory")
    assert alike(kept[0], PathModel(8e6 / 8, 0.1))
    assert took[1] < took[0]


def test_it_is_written_once_a_minute_at_most_and_only_when_it_changed() -> None:
    kept: list[PathModel] = []
    elsewhere: list[PathModel] = []
    here = kept

    def remember(model: PathModel) -> None:
        here.append(model)

    pair = Pair(link=Link(PATH, seed=2))
    PathKeeper(
        reactor=pair.network.reactor,
        connection=pair.client,
        recall=lambda: here[-1] if here else None,
        remember=remember,
    )
    pair.network.pass_time(EVERY_S)
    assert kept == [], "nothing was sent that could teach anything"
    transfer(pair, 1_000_000)
    pair.network.pass_time(3 * EVERY_S)
    assert len(kept) == 1
    # Another network, as good as the first: it is not remembered yet.
    here = elsewhere
    pair.network.pass_time(3 * EVERY_S)
    assert len(kept) == len(elsewhere) == 1


def test_a_server_remembers_its_clients_networks() -> None:
    pair = Pair(link=Link(PATH, seed=2))
    network = pair.network
    recorder = Recorder()
    pair.channel(writer := Recorder(), recorder)
    Source(network, writer.transport, 1_000_000)
    network.until(lambda: len(recorder.data) == 1_000_000)
    learned = pair.server_connection.path_model
    assert learned is not None
    pair.client.close()
    network.pass_time(1.0)
    network.run(network.connect())
    network.pass_time(1.0)
    again = pair.accepted[1].driver.quic.controller
    assert again is not None
    assert again.congestion_window >= 0.49 * learned.bdp
