"""published(): what code under test publishes."""

import threading

import pytest

import waterspout
from tests.waterspout.testing.test_server import get, make_app
from waterspout import publish
from waterspout.testing import published, serving


def test_it_is_listed_and_no_server_is_needed():
    with published() as messages:
        waterspout.publish("orders", {"id": 1})
        publish("others", (1, "two"))
        thread = threading.Thread(target=publish, args=("orders", None))
        thread.start()
        thread.join()
        assert messages == [("orders", {"id": 1}), ("others", [1, "two"]), ("orders", None)]
    for each in (publish, waterspout.publish):
        with pytest.raises(waterspout.NotServing):
            each("orders", 1)
    assert len(messages) == 3


def test_what_could_not_be_published_is_refused():
    with published() as messages:
        for message in (float("nan"), "x" * 1_000_000):
            with pytest.raises(ValueError):
                publish("orders", message)
        with pytest.raises(TypeError):
            publish("orders", object())
        with pytest.raises(ValueError, match="topic"):
            publish("", 1)
    assert messages == []


def test_what_happens_to_the_message_later_does_not_change_the_list():
    message = [1]
    with published() as messages:
        publish("orders", message)
        message.append(2)
    assert messages == [("orders", [1])]


def test_one_within_another():
    with published() as outer:
        publish("a", 1)
        with published() as inner:
            publish("a", 2)
        publish("a", 3)
    assert ([n for _, n in outer], [n for _, n in inner]) == ([1, 2, 3], [2])


@pytest.mark.parametrize("around", [True, False])
def test_beside_a_server_subscribers_get_the_messages_too(around):
    """Whichever was there first."""
    with serving(make_app(wsgi_workers=0)) as url, published() as messages:
        get(url + "/publishes")
    assert [topic for topic, _ in messages] == ["from-the-app"]
    with published() as messages, serving(make_app(wsgi_workers=0)) as url:
        get(url + "/publishes")
    assert [topic for topic, _ in messages] == ["from-the-app"]
    with pytest.raises(waterspout.NotServing):
        publish("orders", 1)


def test_a_body_that_raises_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError), published():
        _ = 1 / 0
    with pytest.raises(waterspout.NotServing):
        publish("orders", 1)
