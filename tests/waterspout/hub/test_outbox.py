"""publish(): what may be published, and where."""

import json
import logging
import os
import threading

import pytest

from tests.waterspout.processes import fork_and_ask
from waterspout.exceptions import NotServing
from waterspout.hub.outbox import Outbox, check_topic, encode, open_outbox, publish
from waterspout.limits import MESSAGE_SIZE, OUTBOX_MESSAGES


@pytest.fixture
def outbox():
    """The one that publish() fills while the test runs."""
    outbox = Outbox(lambda: None)
    open_outbox(outbox)
    yield outbox
    open_outbox(None)


def take_all(outbox):
    return list(iter(outbox.take, None))


MESSAGES = [None, True, 0, -1.5, "", "text \u20ac \U0001f300", [], [1, [2]], {}, {"a": {"b": None}}]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_json_value_is_published(outbox, message):
    publish("topic", message)
    ((topic, data),) = take_all(outbox)
    assert topic == "topic"
    assert json.loads(data) == message


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_has_no_number_for_is_refused(outbox, number):
    with pytest.raises(ValueError, match="JSON"):
        publish("topic", {"n": number})
    assert take_all(outbox) == []


@pytest.mark.parametrize("message", [b"bytes", {1, 2}, object(), 1j, {"deep": [b""]}, {(1, 2): 3}])
def test_what_is_no_json_is_refused(outbox, message):
    with pytest.raises(TypeError):
        publish("topic", message)
    assert take_all(outbox) == []


def test_a_circle_and_half_a_character_are_refused(outbox):
    circle = []
    circle.append(circle)
    for message in (circle, "\ud800"):
        with pytest.raises(ValueError):
            publish("topic", message)
    assert take_all(outbox) == []


def test_a_message_may_be_as_large_as_the_limit(outbox):
    publish("topic", "x" * (MESSAGE_SIZE - 2))
    assert len(encode("x" * (MESSAGE_SIZE - 2))) == MESSAGE_SIZE


@pytest.mark.parametrize("message", ["x" * (MESSAGE_SIZE - 1), "\u20ac" * (MESSAGE_SIZE // 3 + 1)])
def test_a_larger_one_is_refused(outbox, message):
    with pytest.raises(ValueError, match=str(MESSAGE_SIZE)):
        publish("topic", message)
    assert take_all(outbox) == []


@pytest.mark.parametrize("topic", ["a", "a b", "incidents.\u20ac", "x" * 255])
def test_a_topic_is_a_printable_name(topic):
    assert check_topic(topic) == topic


@pytest.mark.parametrize(
    "topic", ["", "x" * 256, "a\nb", "a\0", "\t", "\x7f", "\ud800", b"a", None, 7, ["a"]]
)
def test_any_other_topic_is_refused(outbox, topic):
    with pytest.raises(ValueError, match="topic"):
        publish(topic, 1)
    assert take_all(outbox) == []


def test_outside_a_server_there_is_nobody_to_tell():
    read = r": docs/native\.md#publishing-from-elsewhere, and waterspout\.testing\.published\(\) for tests$"
    with pytest.raises(NotServing, match=f"waterspout serve.*{read}"):
        publish("topic", 1)


def test_a_wrong_message_is_wrong_outside_a_server_too():
    with pytest.raises(ValueError, match="topic"):
        publish("", 1)


def test_a_forked_child_is_outside(outbox):
    def try_to_publish():
        try:
            publish("topic", 1)
        except NotServing:
            return 7
        return 0

    assert fork_and_ask(try_to_publish) == 7
    assert take_all(outbox) == []


def test_messages_keep_their_order(outbox):
    for number in range(100):
        publish("topic", number)
    assert [data for _, data in take_all(outbox)] == [b"%d" % number for number in range(100)]


def test_every_message_wakes_the_one_who_empties_it():
    wakes = []
    outbox = Outbox(lambda: wakes.append(threading.get_ident()))
    outbox.put("topic", b"1")
    outbox.put("topic", b"2")
    assert wakes == [threading.get_ident()] * 2


def test_it_is_its_process_s_own():
    assert Outbox(lambda: None).pid == os.getpid()


def test_when_it_is_full_the_oldest_go_and_it_says_so_once(caplog):
    outbox = Outbox(lambda: None, limit=3)
    with caplog.at_level(logging.WARNING, "waterspout.hub"):
        for number in range(10):
            outbox.put("topic", b"%d" % number)
    assert [data for _, data in take_all(outbox)] == [b"7", b"8", b"9"]
    assert len(caplog.records) == 1


def test_once_emptied_it_complains_anew(caplog):
    outbox = Outbox(lambda: None, limit=1)
    with caplog.at_level(logging.WARNING, "waterspout.hub"):
        for _ in range(2):
            for _ in range(3):
                outbox.put("topic", b"")
            take_all(outbox)
    assert len(caplog.records) == 2


def test_it_is_full_by_size_too(caplog):
    outbox = Outbox(lambda: None, size=10)
    with caplog.at_level(logging.WARNING, "waterspout.hub"):
        for message in (b"1234", b"567", b"890", b"abcd", b"e"):
            outbox.put("topic", message)
    assert [data for _, data in take_all(outbox)] == [b"890", b"abcd", b"e"]
    outbox.put("topic", b"0123456789")
    assert [data for _, data in take_all(outbox)] == [b"0123456789"]
    assert len(caplog.records) == 1


class Counts(Outbox):
    """Counts how often it looks at all that it has."""

    looks = 0

    def _make_room(self):
        self.looks += 1
        super()._make_room()


def test_one_that_is_full_does_not_look_at_all_it_has_for_each_message():
    outbox = Counts(lambda: None, limit=10_000, size=800)
    for number in range(4000):
        outbox.put("topic", b"%04d" % number)
    assert outbox.looks < 200
    left = [int(data) for _, data in take_all(outbox)]
    assert left == list(range(left[0], 4000))
    assert 170 <= len(left) <= 200


def test_nor_does_one_that_is_full_by_its_messages_and_nearly_by_their_size():
    outbox = Counts(lambda: None, limit=100, size=800)
    for number in range(4000):
        outbox.put("topic", b"%08d" % number)
    assert outbox.looks < 100
    assert [int(data) for _, data in take_all(outbox)] == list(range(3900, 4000))


def test_it_is_bounded_without_being_told():
    outbox = Outbox(lambda: None)
    for _ in range(OUTBOX_MESSAGES + 5):
        outbox.put("topic", b"")
    assert len(take_all(outbox)) == OUTBOX_MESSAGES


def test_threads_that_publish_at_once_lose_nothing(outbox):
    def publish_many(name):
        for number in range(500):
            publish("topic", [name, number])

    threads = [threading.Thread(target=publish_many, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages = [json.loads(data) for _, data in take_all(outbox)]
    assert sorted(messages) == [[name, number] for name in range(4) for number in range(500)]
    for name in range(4):
        assert [number for found, number in messages if found == name] == list(range(500))
