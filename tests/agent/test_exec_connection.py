from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer_agent.exec_connection import MAX_HEAD_BYTES, Demultiplexer, ExecConnection


class Owner:
    def __init__(self) -> None:
        self.data = b""
        self.over = False

    def received(self, data: bytes) -> None:
        self.data += data

    def disconnected(self) -> None:
        self.over = True


def connected() -> tuple[ExecConnection, Owner, StringTransport]:
    owner, transport = Owner(), StringTransport()
    connection = ExecConnection("abc", tty=True, owner=owner)
    connection.makeConnection(transport)
    return connection, owner, transport


def test_the_programs_first_bytes_are_not_lost() -> None:
    connection, owner, transport = connected()
    assert transport.value().startswith(b"POST /exec/abc/start HTTP/1.1\r\n")
    assert transport.value().endswith(b'{"Detach": false, "Tty": true}')
    for byte in b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n":
        connection.dataReceived(bytes([byte]))
    connection.dataReceived(b"first")
    assert connection.started.called
    assert owner.data == b"first"
    assert transport.producerState == "paused"
    connection.connectionLost(Failure(ConnectionDone()))
    assert owner.over


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 409 Conflict\r\n\r\n{}",
        b"SSH-2.0\r\n\r\n",
        b"\r\n\r\n",
        b"x" * (MAX_HEAD_BYTES + 1),
        b"",
    ],
)
def test_another_answer_is_a_refusal(answer: bytes) -> None:
    connection, owner, _transport = connected()
    failures: list[Failure] = []
    connection.started.addErrback(failures.append)
    connection.dataReceived(answer)
    connection.connectionLost(Failure(ConnectionDone()))
    assert isinstance(failures[0].value, EdgetainerError)
    assert failures[0].value.code == "command_failed"
    assert not owner.over


def test_the_demultiplexer_takes_any_cut() -> None:
    wire = (
        b"\1\0\0\0\0\0\0\5hello"
        + b"\2\0\0\0\0\0\0\3err"
        + b"\1\0\0\0\0\0\0\0"
        + b"\1\0\0\0\0\0\0\1!"
    )
    for size in range(1, len(wire) + 1):
        outputs = {1: b"", 2: b""}

        def deliver(stream: int, data: bytes, outputs: dict[int, bytes] = outputs) -> None:
            outputs[stream] += data

        demultiplexer = Demultiplexer(deliver)
        for start in range(0, len(wire), size):
            demultiplexer.push(wire[start : start + size])
        assert outputs == {1: b"hello!", 2: b"err"}
