"""Request heads to start from."""

from waterspout.wsgi.frames import RequestHead

PLAIN = RequestHead(
    method="GET",
    target="/",
    version="HTTP/1.1",
    scheme="http",
    remote_addr="192.0.2.7",
    remote_port="50000",
    server_name="192.0.2.1",
    server_port="8888",
    allow="",
    varies=False,
    request_id="id-1",
    content_length="",
    disbelieved=False,
    root_path="",
    body_length=0,
    headers=[("Host", "example.com")],
)


def make_head(**changes):
    """An ordinary GET, with changes."""
    return PLAIN._replace(**changes)
