"""What the WSGI app publishes reaches native subscribers of the same server, alike in both forms."""

import json
import os
import subprocess
import sys

import pytest

from tests.server import ROOT, new_id

SERVE = (
    *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.publishing:app"),
    *("--wsgi-threads", "1"),
)


class Listener:
    """A client of the event stream of one topic."""

    def __init__(self, server, topic):
        self.connection = server.connect()
        self.connection.send_request("GET", f"/native/events?topic={topic}")
        self.head = self.connection.head()
        self.text = b""
        assert self.next_event() == b"event: ready\ndata: null"

    def next_event(self):
        while b"\n\n" not in self.text:
            data = self.connection.next_chunk(self.head)
            assert data, "the stream ended"
            self.text += data
        event, _, self.text = self.text.partition(b"\n\n")
        return event

    def next_message(self):
        return json.loads(self.next_event().removeprefix(b"data: "))


def publish(server, topic, message):
    reply = server.ask("POST", f"/publish?topic={topic}", body=json.dumps(message).encode())
    assert (reply.status, reply.text) == (200, "published")


@pytest.mark.parametrize(
    "message",
    [
        None,
        True,
        0,
        -1.5,
        10**20,
        "",
        "text",
        "é \u20ac \U0001f30a\u2028\0",
        [],
        {},
        {"a": [1, {"b": None}], "é": [[]]},
        "x" * 200_000,
    ],
    ids=lambda message: ascii(message)[:20],
)
def test_a_published_message_reaches_its_subscriber(server, message):
    topic = new_id()
    listener = Listener(server, topic)
    publish(server, topic, message)
    assert listener.next_message() == message


def test_tuples_arrive_as_lists_and_keys_as_strings(server):
    topic = new_id()
    listener = Listener(server, topic)
    assert server.get(f"/publish-tuples?topic={topic}").text == "published"
    assert listener.next_message() == ["a", [1, 2], {"t": [3], "5": "five"}]


@pytest.mark.parametrize("value", ["object", "set", "bytes", "circle"])
def test_what_json_can_not_hold_raises_in_the_view(server, value):
    topic = new_id()
    listener = Listener(server, topic)
    assert server.get(f"/publish-unencodable?topic={topic}&value={value}").text == "refused"
    publish(server, topic, "after it")
    assert listener.next_message() == "after it"


def test_messages_of_one_view_arrive_in_order(server):
    topic = new_id()
    listener = Listener(server, topic)
    assert server.get(f"/publish-many?topic={topic}&count=50").text == "published"
    assert [listener.next_message() for _ in range(50)] == list(range(50))


def test_every_subscriber_gets_the_messages_of_its_own_topic_only(server):
    topic, other = new_id(), new_id()
    listeners, stranger = [Listener(server, topic) for _ in range(3)], Listener(server, other)
    publish(server, topic, "for the topic")
    publish(server, other, "for the other")
    assert [listener.next_message() for listener in listeners] == ["for the topic"] * 3
    assert stranger.next_message() == "for the other"


def test_a_thread_of_the_app_publishes_when_its_request_is_long_over(server):
    topic, ident = new_id(), new_id()
    listener = Listener(server, topic)
    server.get(f"/publish-from-thread?topic={topic}&id={ident}")
    server.canary()
    server.open_gate(ident)
    assert listener.next_message() == "from a thread"
    assert not server.notes("thread-failed", ident)


@pytest.mark.parametrize("turn", range(5))
def test_the_last_word_of_a_process_is_heard(start_server, turn):
    """Its only request has been answered, it has been told to end, and a thread of the view goes on."""
    server = start_server(*SERVE, "--wsgi-max-requests", "1", form="process")
    topic = new_id()
    listener = Listener(server, topic)
    assert server.get(f"/publish-last?topic={topic}").text == "will publish"
    assert [listener.next_message() for _ in range(20)] == list(range(20))


def test_a_generator_publishes_while_it_streams(server):
    topic = new_id()
    listener = Listener(server, topic)
    assert server.get(f"/publish-mid-stream?topic={topic}").text == "before;after"
    assert listener.next_message() == "from a generator"


def test_publishing_without_subscribers_is_no_error(server):
    publish(server, new_id(), "nobody hears")


def test_publishing_never_blocks_a_view(server):
    """Many messages, and a subscriber that reads none of them."""
    topic = new_id()
    Listener(server, topic)
    reply = server.get(f"/publish-many?topic={topic}&count=20000", timeout=15)
    assert reply.text == "published"


def test_a_subscriber_that_left_is_forgotten(server):
    topic = new_id()
    for _ in range(5):
        Listener(server, topic).connection.close()
    listener = Listener(server, topic)
    publish(server, topic, "for who stayed")
    assert listener.next_message() == "for who stayed"


def test_publishing_outside_of_a_server_raises_a_clear_error():
    code = "import waterspout; waterspout.publish('topic', 1)"
    done = run_python(code)
    assert done.returncode != 0
    assert "server" in done.stderr.splitlines()[-1].lower()


def test_a_view_that_subscribes_hears_or_is_told_that_it_can_t(server, form):
    """On an event loop of its own: in the server's process it hears, in another it would wait forever."""
    text = server.get(f"/subscribe-on-its-own-loop?topic={new_id()}", timeout=20).text
    if form == "threads":
        assert text == "of its own"
    else:
        assert "a view, in its own process, would receive nothing" in text


def run_python(code):
    """In a process of its own, away from whatever the tests have running."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, env=environment, check=False
    )
