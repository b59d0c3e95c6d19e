"""Sockets in, Tornado's delegates out: a drop-in `tornado.httpserver.HTTPServer`, usable by any Tornado
application. Knows nothing about WSGI, and of our other modules imports only leaves.

    server.py      HTTPServer: listeners, the clock, the open connections
    connection.py  Connection: one socket, and how it ends
    intake.py      Intake: a connection that reads requests, one after the other, for their delegates
    patience.py    how long a connection's client may take
    exchange.py    Exchange: one request's reply; Tornado's `HTTPConnection`
    parser.py      what one connection has sent, as events        (pure)
    head.py        a request's head                               (pure)
    body.py        a request's body                               (pure)
    writer.py      what is on its way to the client: backpressure
    sendfile.py    a file on its way to the client
    stream.py      the part of `IOStream` that handlers use, over a transport
    refusal.py     the server's own answer to a request that it refuses
    accepting.py   listening sockets, with or without TLS
    secure.py      SecureTransport: TLS between a client and a protocol
    gone.py        a closed transport, in place of one that is gone
    counting.py    how many connections there are, and can be
    settings.py    limits and timeouts that Tornado has no argument for
    private.py     Tornado's private names
"""

from __future__ import annotations

from waterspout.http.head import HeadLimits
from waterspout.http.server import HTTPServer
from waterspout.http.settings import HTTPSettings

__all__ = ["HTTPServer", "HTTPSettings", "HeadLimits"]
