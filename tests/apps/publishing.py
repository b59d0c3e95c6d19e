"""A WSGI app that publishes, from the request's thread and from threads of its own."""

import asyncio
import json
import threading

import waterspout
from tests.apps.table import TEXT, Table
from tests.apps.witness import note, parameter, wait_for_gate

app = Table()
UNENCODABLE = {"object": object(), "set": {1}, "bytes": b"x", "circle": []}
UNENCODABLE["circle"].append(UNENCODABLE["circle"])


def told(start_response, text):
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(text)))])
    return [text.encode()]


@app.view
def publish(environ, start_response):
    """The message is the body, as JSON."""
    message = json.loads(environ["wsgi.input"].read())
    waterspout.publish(parameter(environ, "topic"), message)
    return told(start_response, "published")


@app.view
def publish_tuples(environ, start_response):
    waterspout.publish(parameter(environ, "topic"), ("a", (1, 2), {"t": (3,), 5: "five"}))
    return told(start_response, "published")


@app.view
def publish_many(environ, start_response):
    for number in range(int(parameter(environ, "count"))):
        waterspout.publish(parameter(environ, "topic"), number)
    return told(start_response, "published")


@app.view
def publish_unencodable(environ, start_response):
    try:
        waterspout.publish(parameter(environ, "topic"), UNENCODABLE[parameter(environ, "value")])
    except (TypeError, ValueError):
        return told(start_response, "refused")
    return told(start_response, "accepted")


@app.view
def publish_from_thread(environ, start_response):
    """The thread publishes long after the request was answered."""

    def later():
        wait_for_gate(environ)
        try:
            waterspout.publish(parameter(environ, "topic"), "from a thread")
        except BaseException as error:
            note("thread-failed", environ, error=repr(error))
            raise

    threading.Thread(target=later, daemon=True).start()
    return told(start_response, "will publish")


@app.view
def publish_last(environ, start_response):
    """The thread publishes when the process has nothing else left to do, and ends with the last message."""

    def later():
        threading.main_thread().join(20)  # Python waits for threads like this one
        for number in range(20):
            waterspout.publish(parameter(environ, "topic"), number)

    threading.Thread(target=later).start()
    return told(start_response, "will publish")


@app.view
def publish_mid_stream(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"before;"
    waterspout.publish(parameter(environ, "topic"), "from a generator")
    yield b"after"


@app.view
def subscribe_on_its_own_loop(environ, start_response):
    """As an `async def` view of Flask's does."""

    async def hear(topic):
        async with waterspout.subscribe(topic) as messages:
            waterspout.publish(topic, "of its own")
            return await asyncio.wait_for(anext(messages), 10)

    try:
        return told(start_response, asyncio.run(hear(parameter(environ, "topic"))))
    except waterspout.NotServing as error:
        return told(start_response, str(error))
