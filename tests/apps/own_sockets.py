"""WebSockets that a WSGI app speaks itself, with the libraries for that, or without any."""

import time

from flask import Flask, abort, request
from flask_sock import Sock
from flask_socketio import SocketIO, emit
from simple_websocket import ConnectionClosed

from tests.apps.table import TEXT, Table
from tests.apps.witness import Counter, note, parameter, wait_for_gate

app = Table()


def make_flask(name, **options):
    flask_app = Flask(name)
    flask_app.config["SOCK_SERVER_OPTIONS"] = options
    sock = Sock(flask_app)
    app.mount(name, flask_app)

    @sock.route(f"/{name}/echo")
    def echo(ws):
        try:
            while True:
                message = ws.receive()
                if message == "close":
                    ws.close(4001, "as you wish")
                ws.send(message)
        except ConnectionClosed as closed:
            note("closed", request.environ, reason=closed.reason)
            raise

    return flask_app, sock


flask_app, sock = make_flask("sock")
make_flask("pinged", ping_interval=25)


@sock.route("/sock/push")
def push(ws):
    for number in range(20):
        ws.send(f"{number} {'x' * 10_000}")


@sock.route("/sock/flood")
def flood(ws):
    """Send 64 MiB, and count what is sent."""
    counter = Counter(request.environ)
    for _ in range(1024):
        ws.send(bytes(65_536))
        counter.add(65_536)
    ws.receive()


@sock.route("/sock/work")
def work(ws):
    """Answer each message when the test says so."""
    while True:
        message = ws.receive()
        note("working", request.environ)
        wait_for_gate(request.environ)
        ws.send(message)


@sock.route("/sock/deaf")
def deaf(ws):
    """Send now and then, and never ask what has come."""
    for number in range(200):
        ws.send(str(number))
        time.sleep(0.05)


@flask_app.get("/sock/refuse", websocket=True)
def refuse():
    abort(403)


@app.view
def raw(environ, start_response):
    """Says what a socket is there, and uses it as it is: `how`."""
    sock, how = environ.get("werkzeug.socket"), parameter(environ, "how")
    note("offered", environ, is_offered=sock is not None, body=environ["wsgi.input"].read().decode())
    if sock is None:
        start_response("200 OK", TEXT)
        return [b"no socket"]
    if how == "late":
        start_response("200 OK", TEXT)(b"answered")
        try:
            sock.send(b"too late")
        except BrokenPipeError as error:
            note("refused", environ, error=str(error))
        return []
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    if how == "pieces":
        while data := sock.recv(3):
            note("piece", environ, data=data.decode())
    elif how in ("ticks", "asks-once"):
        if how == "asks-once":
            note("asked", environ, size=len(sock.recv(1 << 20)))
        deadline = time.monotonic() + 15
        try:
            while time.monotonic() < deadline:
                sock.sendall(b"tick")
                time.sleep(0.05)
        except BrokenPipeError as error:
            note("ended", environ, error=str(error))
    elif how == "lingers":
        while sock.recv(1000):
            pass
        sock.sendall(b"ended")
        time.sleep(1)
        sock.sendall(b"bye.")
    elif how == "shutdown":
        sock.shutdown(2)
        note("shut", environ, fileno=sock.fileno(), data=sock.recv(10).decode())
    elif how == "iterates":
        start_response("200 OK", [*TEXT, ("Content-Length", "2")])
        return iter([b"no", b"body", b"of", b"this"])
    elif how == "raises":
        raise RuntimeError("after the connection was taken over")
    start_response("200 OK", TEXT)
    return [b"nobody gets this"]


@app.view
def waits(environ, start_response):
    """No WebSocket: answers when the test says so."""
    note("waiting", environ)
    wait_for_gate(environ)
    start_response("200 OK", TEXT)
    return [b"done"]


socketio_app = Flask("socketio")
socketio = SocketIO(socketio_app, async_mode="threading")
app.mount("socket.io", socketio_app)


@socketio.on("echo")
def echo_event(text):
    emit("echo", text)
