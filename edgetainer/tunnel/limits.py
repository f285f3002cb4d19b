"""The numbers of the tunnel's wire, each with its unit and its reason."""

from __future__ import annotations

#: Version of open headers and hellos. It changes only if an old peer would
#: misunderstand; fields are added without changing it.
VERSION = 1

#: Where the device opens its session (an extended CONNECT, RFC 9220).
SESSION_PATH = "/tunnel/v1"

#: Header of the session's request and response that carries a hello.
HELLO_HEADER = b"edgetainer-hello"

#: Largest hello, in bytes: a header block larger than some kilobytes is
#: refused by common HTTP code, and a hello needs a few hundred bytes.
MAX_HELLO = 4 * 1024

#: Largest open header or reply, in bytes: room for a command line with its
#: arguments, held in memory for each channel that is being opened.
MAX_HEADER = 16 * 1024

#: Seconds from opening a stream to the device's reply. A satellite round trip
#: with losses takes under 5 s; people give up after about 15.
OPEN_DEADLINE = 15.0

#: Seconds between two signs of life of the device, unless the hello says otherwise.
KEEPALIVE = 10.0

#: Largest keepalive that either end may name, in seconds: an hour. What is used
#: is less: `keepalive.MOST`.
MAX_KEEPALIVE = 3_600.0

#: Channels open at a time in one session. Each costs both ends some 10 KiB;
#: a browser behind the gateway uses tens.
MAX_CHANNELS = 1_024

#: Longest time a command may run, in seconds: a day.
MAX_TIMEOUT = 86_400.0

#: Longest payload of a frame, in bytes. One frame is held whole before it is
#: handed on, so this bounds the memory of a channel and how long one frame
#: keeps another waiting (64 KiB at 5 Mbit/s are 105 ms).
MAX_FRAME = 64 * 1024

#: Widest and highest terminal; beyond any screen, and small enough that a
#: program that allocates a cell for each character stays under some megabytes.
MAX_CELLS = 1_000
