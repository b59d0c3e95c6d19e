"""Two pipes: what one end puts there, the other finds, and what nobody has taken can be taken back."""

import errno
import os

import pytest

from waterspout.limits import ANSWERS_SIZE, PACKET, REQUESTS_SIZE
from waterspout.wsgi import backlog as module
from waterspout.wsgi.backlog import Answer, Backlog, is_possible
from waterspout.wsgi.frames import DATA, build_reply, pack, pack_answer

pytestmark = pytest.mark.skipif(
    not is_possible(), reason="backlogs are pipes of packets: Linux alone has those"
)

HEAD = build_reply(200, "OK", [("Content-Length", "5")])
ANSWER = pack_answer(HEAD, b"hello")
MOST = REQUESTS_SIZE // PACKET


@pytest.fixture
def backlog():
    backlog = Backlog()
    backlog.end = backlog.far_end
    yield backlog
    backlog.end.close()
    backlog.close()


def take_all(backlog):
    packets = []
    while packet := backlog.end.take():
        packets.append(packet)
    return packets


def test_requests_are_taken_one_by_one_in_their_order(backlog):
    assert all(backlog.put(name, name.encode()) for name in ("first", "second"))
    assert take_all(backlog) == [(1, b"first"), (2, b"second")]
    assert backlog.end.take() is None
    assert backlog.users == {1: "first", 2: "second"}


def test_answers_find_their_users(backlog):
    for name in ("first", "second", "third"):
        backlog.put(name, b"request")
    assert backlog.end.answer(1, 0.000_25, ANSWER) == b""
    assert backlog.end.answer(3, 4295.5, ANSWER) == b""
    assert backlog.collect() == [
        (1, Answer(0.000_25, HEAD, b"hello")),
        (3, Answer(4295.5, HEAD, b"hello")),
    ]
    assert [backlog.users.pop(1), backlog.users.pop(3)] == ["first", "third"]
    assert backlog.users == {2: "second"}
    assert backlog.collect() == []


def test_an_answer_that_is_read_in_two_parts_is_one(backlog, monkeypatch):
    backlog.put("first", b"request")
    backlog.put("second", b"request")
    backlog.end.answer(1, 0, ANSWER)
    backlog.end.answer(2, 0, ANSWER)
    pipe = module._read_all(backlog._answers)
    monkeypatch.setattr(module, "_read_all", lambda _: parts.pop(0))
    parts = [pipe[: len(ANSWER) + 15], pipe[len(ANSWER) + 15 :]]
    assert [token for token, _ in backlog.collect()] == [1]
    assert [token for token, _ in backlog.collect()] == [2]


def test_as_many_wait_as_the_pipe_holds_and_no_more(backlog):
    accepted = 0
    while accepted <= MOST and backlog.put(accepted, b"request"):
        accepted += 1
    assert accepted == MOST
    assert len(backlog.users) == MOST
    assert backlog.end.take() == (1, b"request")
    assert backlog.put("another", b"request")


def test_a_pipe_that_can_t_be_made_larger_does_as_it_is(monkeypatch):
    def refuse(*arguments):
        raise PermissionError(errno.EPERM, "over the limit of this user")

    monkeypatch.setattr(module, "fcntl", refuse)
    backlog = Backlog()
    accepted = sum(backlog.put(number, b"request") for number in range(MOST))
    assert accepted == 16
    backlog.far_end.close()
    backlog.close()


@pytest.mark.parametrize(("size", "fits"), [(PACKET - 4, True), (PACKET - 3, False)])
def test_a_request_is_one_packet_or_goes_another_way(backlog, size, fits):
    assert backlog.put("user", bytes(size)) is fits
    assert [len(frames) for _, frames in take_all(backlog)] == [size] * fits


def test_what_is_no_whole_reply_goes_another_way(backlog):
    assert backlog.end.answer(1, 0, pack(DATA, b"some")) is None


def test_answers_fill_the_pipe_and_the_last_one_goes_another_way_in_part(backlog):
    body = bytes(40_000)
    for number in range(MOST):
        backlog.put(number, b"request")
    number, rest = 0, b""
    while not rest:
        number += 1
        rest = backlog.end.answer(number, 0, pack_answer(HEAD, body))
        assert rest is not None
    assert number > ANSWERS_SIZE // 50_000
    assert backlog.end.answer(number + 1, 0, ANSWER) is None
    found = backlog.collect()
    # The rest is still on its way down the lane: nothing may come between.
    assert backlog.end.answer(number + 1, 0, ANSWER) is None
    found += backlog.collect()
    found += backlog.collect(rest)
    assert [token for token, _ in found] == list(range(1, number + 1))
    assert all(answer.body == body for _, answer in found)
    backlog.end.make_room()
    assert backlog.end.answer(number + 1, 0, ANSWER) == b""
    assert [token for token, _ in backlog.collect()] == [number + 1]


def test_what_was_not_taken_is_taken_back(backlog):
    for name in ("first", "second", "third"):
        backlog.put(name, b"request")
    backlog.end.take()
    assert backlog.take_back() == ["second", "third"]
    assert backlog.end.take() is None
    assert backlog.users == {1: "first"}
    assert backlog.take_back() == []


def test_one_who_withdraws_is_never_run_and_the_others_keep_their_order(backlog):
    for name in ("first", "second", "third"):
        backlog.put(name, b"request")
    assert backlog.withdraw("second") == 0
    assert take_all(backlog) == [(1, b"request"), (3, b"request")]
    assert backlog.users == {1: "first", 3: "third"}


def test_one_who_withdraws_too_late_is_named(backlog):
    backlog.put("first", b"request")
    backlog.put("second", b"request")
    backlog.end.take()
    assert backlog.withdraw("first") == 1
    backlog.end.answer(1, 0, ANSWER)
    assert [backlog.users.get(token) for token, _ in backlog.collect()] == [None]
    assert backlog.end.take() == (2, b"request")


def test_whether_something_lies_there_is_known(backlog):
    assert backlog.is_empty
    backlog.put("first", b"request")
    assert not backlog.is_empty
    backlog.end.take()
    assert backlog.is_empty


def test_those_whom_the_worker_takes_amid_a_withdrawal_come_before_those_that_are_put_back(
    backlog, monkeypatch
):
    for name in ("first", "second", "third", "fourth"):
        backlog.put(name, b"request")
    read, taken = module._read, []

    def interrupted(pipe, size):
        packet = read(pipe, size)
        if pipe == backlog._unread and not taken:
            taken.append(None)
            taken.append(backlog.end.take())
        return packet

    monkeypatch.setattr(module, "_read", interrupted)
    assert backlog.withdraw("third") == 0
    assert taken[1:] + take_all(backlog) == [(2, b"request"), (1, b"request"), (4, b"request")]
    assert list(backlog.users) == [2, 1, 4]


def test_a_stranger_can_t_withdraw(backlog):
    backlog.put("first", b"request")
    assert backlog.withdraw("another") == 0
    assert take_all(backlog) == [(1, b"request")]


def test_tokens_begin_again_and_are_never_nothing(backlog):
    backlog._token = 2**32 - 2
    for name in ("last", "first"):
        backlog.put(name, b"request")
    assert [token for token, _ in take_all(backlog)] == [2**32 - 1, 1]


def test_a_worker_whose_event_loop_is_gone_finds_nothing(backlog):
    """And its answers go down the lane, which tells it so."""
    other = Backlog()
    other.put("user", b"request")
    end = other.far_end
    other.close()
    assert end.take() == (1, b"request")
    assert end.take() is None
    assert end.answer(1, 0, ANSWER) is None
    end.close()


def test_without_descriptors_nothing_is_left_open(monkeypatch):
    before = len(os.listdir("/proc/self/fd"))
    pipe2, calls = os.pipe2, []

    def fail_second(flags):
        calls.append(flags)
        if len(calls) == 2:
            raise OSError(errno.EMFILE, "too many open files")
        return pipe2(flags)

    monkeypatch.setattr(os, "pipe2", fail_second)
    with pytest.raises(OSError, match="too many"):
        Backlog()
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_other_program_inherits_an_end(backlog):
    ends = [*backlog.end.descriptors, backlog._unread, backlog._ready, backlog._answers]
    assert not any(map(os.get_inheritable, ends))
