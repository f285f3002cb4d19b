"""The outside door: visitors' HTTPS requests become streams to a device's containers.

`listener` takes TLS connections and hands each to the console or to `http1` by
the name the visitor asked for (SNI). `http1` reads one request at a time;
`exchange` carries it to the container and the answer back; `headers` decides
what is believed and what is passed on; `entrance` asks visitors to sign in;
`pages` says what went wrong. None of them knows how a device is reached: they
connect to an ordinary Twisted endpoint.
"""
