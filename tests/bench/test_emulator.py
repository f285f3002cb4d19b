"""The link emulator does to packets what its settings say.

A share is held against its expectation within five standard deviations; a delay only
against its lower bound, because a busy machine makes packets late and never early.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from bench import namespaces, places
from bench.emulator import compiled
from bench.namespaces import FOLDER, Machine
from bench.processes import environment
from bench.profiles import Link
from tests.ports import until

PROBE = Path(__file__).with_name("probe.py")
SEED = 7
EASY = Link(rate_mbit=0, delay_ms=0)

pytestmark = [
    pytest.mark.whole_machine,
    pytest.mark.skipif(namespaces.missing() is not None, reason=str(namespaces.missing())),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Machine]:
    with Machine(seed=SEED) as made:
        echo = made.start(
            "server", [sys.executable, str(PROBE), "echo"], stdout=subprocess.PIPE, text=True
        )
        assert echo.stdout is not None
        assert echo.stdout.readline() == "ready\n"
        yield made


@pytest.fixture
def machine(running: Machine) -> Machine:
    """Two ends with an easy link between them."""
    print("seed", SEED)
    running.set_link(EASY, EASY)
    running.link.nat(on=False)
    running.link.link(up=True)
    return running


def probe(machine: Machine, count: int, every_ms: float = 1.0) -> list[tuple[int, int, float]]:
    command = [str(PROBE), "send", places.SERVER, str(count), str(every_ms)]
    return [tuple(one) for one in json.loads(machine.run("device", sys.executable, *command))]


def within(count: int, share: float, of: int) -> bool:
    return abs(count - share * of) <= 5 * (of * share * (1 - share)) ** 0.5


def test_delays_and_jitter_keep_the_order(machine: Machine) -> None:
    link = Link(rate_mbit=0, delay_ms=20, jitter_ms=5)
    machine.set_link(link, link)

    found = probe(machine, 200)

    assert [number for number, _, _ in found] == list(range(200))
    assert min(trip for _, _, trip in found) >= 2 * (20 - 5)
    assert max(trip for _, _, trip in found) > 2 * (20 - 5) + 1


def settled(machine: Machine) -> dict[str, dict[str, int]] | None:
    """The link's counts, once a tenth of a second has changed none of them."""
    before = machine.link.stats()
    time.sleep(0.1)
    return before if machine.link.stats() == before else None


def flood(machine: Machine, count: int) -> dict[str, dict[str, int]]:
    """Send so many datagrams, and count what became of them and of their answers."""
    before = machine.link.stats()
    program = (
        "import contextlib, socket, sys, time\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.settimeout(0.5)\n"
        "for _ in range(int(sys.argv[2])):\n"
        "    s.sendto(bytes(100), (sys.argv[1], 7007))\n"
        "    time.sleep(0.0001)\n"
        # An answer to a closed socket would be answered by the kernel, over the link.
        "with contextlib.suppress(TimeoutError):\n"
        "    while s.recv(2048):\n"
        "        pass\n"
    )
    machine.run("device", sys.executable, "-c", program, places.SERVER, str(count))
    after = until("the link is empty", lambda: settled(machine), 30)
    return {
        way: {key: after[way][key] - before[way][key] for key in after[way]}
        for way in ("up", "down")
    }


def test_loses_at_random_in_each_direction(machine: Machine) -> None:
    machine.link.set("up", Link(rate_mbit=0, delay_ms=0, loss=0.2))
    machine.link.set("down", Link(rate_mbit=0, delay_ms=0, loss=0.1))

    ways = flood(machine, 2000)

    assert ways["up"]["packets"] == 2000
    assert within(ways["up"]["lost"], 0.2, 2000)
    assert ways["up"]["delivered"] == 2000 - ways["up"]["lost"]
    assert within(ways["down"]["lost"], 0.1, ways["down"]["packets"])


def test_loses_in_bursts(machine: Machine) -> None:
    link = Link(rate_mbit=0, delay_ms=0, burst_enter=0.01, burst_leave=0.25)
    machine.link.set("up", link)

    lost = flood(machine, 4000)["up"]["lost"]

    # The share of time in the bad state; bursts of four make it vary more.
    share = 0.01 / (0.01 + 0.25)
    assert share * 4000 / 3 < lost < share * 4000 * 3


def test_a_full_queue_drops_and_delays_no_longer_than_it_is_long(machine: Machine) -> None:
    # 128 bytes at 1 Mbit/s take 1.02 ms: some 20 of those that come at once fit.
    slow = Link(rate_mbit=1, delay_ms=0, queue_ms=20)
    machine.link.set("up", slow)

    before = machine.link.stats()["up"]["dropped"]
    found = probe(machine, 200, 0.0)
    dropped = machine.link.stats()["up"]["dropped"] - before

    assert dropped > 50
    assert len(found) == 200 - dropped
    # The last of a full queue has waited for all before it.
    assert max(trip for _, _, trip in found) >= 18


def test_a_share_is_late_and_overtaken(machine: Machine) -> None:
    machine.link.set("up", Link(rate_mbit=0, delay_ms=1, late=0.1, late_by_ms=20))

    before = machine.link.stats()["up"]["reordered"]
    numbers = [number for number, _, _ in probe(machine, 500)]
    late = machine.link.stats()["up"]["reordered"] - before

    assert sorted(numbers) == list(range(500))
    assert within(late, 0.1, 501)
    overtaken = sum(1 for a, b in pairwise(numbers) if b < a)
    assert overtaken > late / 4


def test_an_interrupted_link_passes_nothing_until_it_is_restored(machine: Machine) -> None:
    machine.link.link(up=False)
    ways = flood(machine, 20)
    assert ways["up"]["delivered"] == 0

    machine.link.link(up=True)
    assert flood(machine, 20)["up"]["delivered"] == 20


def test_a_nat_keeps_its_mapping_until_it_forgets(machine: Machine) -> None:
    machine.link.nat(on=True)

    first = {port for _, port, _ in probe(machine, 20)}
    assert len(first) == 1
    machine.link.rebind()
    second = {port for _, port, _ in probe(machine, 20)}

    assert len(second) == 1
    assert first != second
    assert machine.link.stats()["rebinds"] == 1


def test_the_device_moves_to_another_address(machine: Machine) -> None:
    for here, there in (
        (places.DEVICE, places.DEVICE_MOVED),
        (places.DEVICE_MOVED, places.DEVICE),
    ):
        machine.move_device(there)

        assert len(probe(machine, 5)) == 5
        addresses = machine.ip("device", "-br", "address", "show", "dev", "link0")
        assert f"{there}/24" in addresses
        assert f"{here}/24" not in addresses


def test_the_same_seed_loses_the_same_packets() -> None:
    def lost(seed: int) -> list[int]:
        with Machine(seed=seed) as machine:
            machine.set_link(Link(rate_mbit=0, delay_ms=0, loss=0.3), EASY)
            return [flood(machine, 100)["up"]["lost"] for _ in range(3)]

    first = lost(SEED)
    assert first == lost(SEED)
    assert first != lost(SEED + 1)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_nothing_is_left_of_a_machine_whose_bench_was_killed() -> None:
    program = (
        "import os, signal\n"
        "from bench.namespaces import Machine\n"
        "machine = Machine(seed=1)\n"
        "sleep = machine.start('server', ['sleep', '1000'], stdout=-3)\n"
        "print(sleep.pid, flush=True)\n"
        # It must be in the namespace before its parent is gone.
        "machine.run('server', 'true')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE, text=True
    )
    output, _ = killed.communicate(timeout=30)

    namespaces.sweep()

    assert not list(FOLDER.glob(f"etbench-{killed.pid}-*"))
    # Killed; whether its foster parent has noticed yet is not our business.
    until("it is gone", lambda: not alive(int(output)), 30)


def test_compiles_once_for_each_source(tmp_path: Path) -> None:
    first = compiled(tmp_path)
    assert compiled(tmp_path) == first
    assert list(tmp_path.iterdir()) == [first]
