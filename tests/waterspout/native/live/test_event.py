import json

from waterspout.native.live import Event


def test_an_event_is_lines_and_an_empty_one():
    event = Event.make("changes", (7, 2, 1), {"a": "line\nanother"})
    data = json.dumps({"a": "line\nanother"})
    assert event.block == f"event: changes\nid: 7.2.1\ndata: {data}\n\n".encode()
    message = {"event": "changes", "cursor": "7.2.1", "data": {"a": "line\nanother"}}
    assert json.loads(event.message) == message


def test_a_reload_moves_the_cursor():
    assert Event.reload((9,)).cursor == (9,)
    assert Event.reload((9,)).block == b"event: reload\nid: 9\ndata: {}\n\n"
