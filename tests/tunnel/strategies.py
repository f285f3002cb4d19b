"""Hypothesis strategies for the values of the tunnel's wire."""

from __future__ import annotations

from hypothesis import strategies as st

from edgetainer.tunnel.messages import (
    MAX_CELLS,
    MAX_TIMEOUT,
    ControlTarget,
    Doorbell,
    ExecTarget,
    Exit,
    Resize,
    Signal,
    TcpTarget,
    TerminalTarget,
)

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
names = st.from_regex(rf"{_NAME}(/{_NAME})?", fullmatch=True)
# NUL and half characters are refused, everything else must survive.
words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60)
cells = st.integers(1, MAX_CELLS)

targets = st.one_of(
    st.builds(TcpTarget, service=names, port=st.integers(1, 65_535)),
    st.builds(
        TerminalTarget,
        container=st.none() | names,
        columns=cells,
        rows=cells,
        term=st.sampled_from(["xterm-256color", "vt100", "screen.xterm-256color"]),
        command=st.lists(words, max_size=8).map(tuple),
    ),
    st.builds(
        ExecTarget,
        argv=st.lists(words, min_size=1, max_size=8).map(tuple),
        container=st.none() | names,
        timeout_s=st.floats(0, MAX_TIMEOUT, exclude_min=True),
    ),
    st.just(ControlTarget()),
)

records = st.one_of(
    st.builds(Resize, columns=cells, rows=cells),
    st.builds(Signal, name=st.sampled_from(["INT", "TERM", "USR1", "HUP"])),
    st.builds(
        Exit,
        code=st.none() | st.integers(-255, 2**32 - 1),
        signal=st.none() | st.sampled_from(["KILL", "SEGV"]),
    ),
    st.builds(Doorbell, revision=st.integers(0, 2**53 - 1)),
)


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """`data` cut into pieces anywhere, as a network may."""
    places = st.lists(st.integers(0, len(data)), max_size=6).map(sorted)
    return places.map(
        lambda at: [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]
    )
