"""The programs of a simulated device: generators that know no clock and no stream.

A program yields bytes for its standard output, `Errors` for its standard error, a
number of seconds to sleep, or `READ` to be given what is typed next (None at its
end), and returns its exit code. So each is a few lines, and `running` is the only
place that deals with time and back-pressure.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator

Program = Generator["bytes | float | type[READ]", "bytes | None", int]

#: Bytes of one piece of output: a few packets, so that a pause is felt soon.
PIECE = 16 * 1024
NOT_FOUND = 127  # POSIX shell, section 2.8.2: the command was not found


class READ:
    """Yielded by a program that waits for input."""


class Errors(bytes):
    """Bytes for the standard error."""


def _echo(arguments: list[str]) -> Program:
    yield (" ".join(arguments) + "\n").encode()
    return 0


def _yes(arguments: list[str]) -> Program:
    line = (" ".join(arguments) or "y").encode() + b"\n"
    piece = line * max(1, PIECE // len(line))
    while True:
        yield piece


def _bytes(arguments: list[str]) -> Program:
    left = _whole_number(arguments)
    if left is None:
        yield Errors(b"bytes: how many?\n")
        return 2
    block = bytes(range(256)) * (PIECE // 256)
    while left > 0:
        yield block[:left]
        left -= PIECE
    return 0


def _cat(arguments: list[str]) -> Program:
    while (data := (yield READ)) is not None:
        yield data
    return 0


def _sleep(arguments: list[str]) -> Program:
    try:
        seconds = float(arguments[0])
    except (IndexError, ValueError):
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        yield Errors(b"sleep: for how many seconds?\n")
        return 2
    yield seconds
    return 0


def _exits(code: int) -> Callable[[list[str]], Program]:
    def program(arguments: list[str]) -> Program:
        return code
        yield

    return program


def _exit(arguments: list[str]) -> Program:
    return (_whole_number(arguments) or 0) & 0xFF
    yield


def _errors(arguments: list[str]) -> Program:
    yield Errors((" ".join(arguments) + "\n").encode())
    return 0


def _help(arguments: list[str]) -> Program:
    yield f"This device is simulated. It knows: {', '.join(sorted(PROGRAMS))}.\n".encode()
    return 0


PROGRAMS: dict[str, Callable[[list[str]], Program]] = {
    "bytes": _bytes,
    "cat": _cat,
    "echo": _echo,
    "errors": _errors,
    "exit": _exit,
    "false": _exits(1),
    "help": _help,
    "sleep": _sleep,
    "true": _exits(0),
    "yes": _yes,
}


def program(argv: list[str]) -> Program:
    """The program for a command; `sh -c LINE` runs the line."""
    name, *arguments = argv
    name = name.rpartition("/")[2]
    if name in ("sh", "bash") and len(arguments) >= 2 and arguments[0] in ("-c", "-lc"):
        return parsed(arguments[1])
    known = PROGRAMS.get(name)
    return _unknown(name) if known is None else known(arguments)


def parsed(line: str) -> Program:
    """The program for a line that was typed."""
    try:
        argv = shlex.split(line, comments=True)
    except ValueError as error:
        return _wrong(str(error))
    return program(argv) if argv else _exits(0)([])


def _unknown(name: str) -> Program:
    yield Errors(f"{name}: not found on this simulated device; try help\n".encode())
    return NOT_FOUND


def _wrong(why: str) -> Program:
    yield Errors(f"{why}\n".encode())
    return 2


def _whole_number(arguments: list[str]) -> int | None:
    text = arguments[0] if arguments else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
