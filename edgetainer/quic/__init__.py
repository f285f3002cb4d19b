"""QUIC and HTTP/3 on Twisted: aioquic made into endpoints, transports and sites."""
