"""A request's body on its way to a lane: never more than was asked for, and never more held than one read."""

import pytest

from waterspout.wsgi.exchange.upload import Upload
from waterspout.wsgi.frames import BODY, BODY_END, FrameParser

pytestmark = pytest.mark.gen_test


class FakeLane:
    """Takes what is sent. `body`: its bytes so far; `ended`: those are all."""

    def __init__(self):
        self.body = b""
        self.ended = False
        self._parser = FrameParser()

    def send(self, frames):
        assert not self.ended, "sent behind the end"
        for kind, payload in self._parser.feed(frames):
            assert kind in (BODY, BODY_END)
            self.body += payload
            self.ended = kind == BODY_END


@pytest.fixture
def lane():
    return FakeLane()


@pytest.fixture
def upload():
    return Upload()


async def test_nothing_goes_before_it_is_asked_for(upload, lane):
    upload.attach(lane)
    room = upload.receive(b"early")
    assert lane.body == b""
    assert not room.done()


async def test_nothing_goes_before_there_is_a_lane(upload, lane):
    room = upload.receive(b"waiting")
    upload.grant(100)
    assert not room.done()
    upload.attach(lane)
    assert lane.body == b"waiting"
    assert room.done()


@pytest.mark.parametrize("credits", [[1, 1, 1, 100], [3, 4, 100], [10], [100], [9, 1], [0, 0, 10]])
@pytest.mark.parametrize("pieces", [[b"0123456789"], [b"01", b"234567", b"89"], [b"012345678", b"9"]])
async def test_never_more_goes_than_the_credit(upload, lane, pieces, credits):
    upload.attach(lane)
    for piece in pieces:
        upload.receive(piece)
    granted = 0
    for credit in credits:
        upload.grant(credit)
        granted += credit
        assert lane.body == b"0123456789"[:granted]
    assert lane.body == b"0123456789"


async def test_credit_that_was_not_used_is_not_lost(upload, lane):
    upload.attach(lane)
    upload.grant(10)
    for piece in (b"abc", b"def", b"ghi", b"jkl"):
        upload.receive(piece)
    assert lane.body == b"abcdefghij"
    upload.grant(10)
    assert lane.body == b"abcdefghijkl"


async def test_the_client_is_read_on_while_there_is_credit(upload, lane):
    upload.attach(lane)
    upload.grant(5)
    assert upload.receive(b"abc") is None
    assert upload.receive(b"de") is None


async def test_the_client_waits_while_bytes_are_held_back(upload, lane):
    upload.attach(lane)
    upload.grant(2)
    room = upload.receive(b"abc")
    assert not room.done()
    upload.grant(1)
    assert room.done()


async def test_the_client_waits_anew_for_each_shortage(upload, lane):
    upload.attach(lane)
    first = upload.receive(b"abc")
    upload.grant(3)
    second = upload.receive(b"def")
    assert first.done()
    assert not second.done()
    upload.grant(3)
    assert second.done()


async def test_who_receives_twice_waits_for_both(upload, lane):
    upload.attach(lane)
    first, second = upload.receive(b"abc"), upload.receive(b"def")
    upload.grant(3)
    assert not second.done()
    upload.grant(3)
    assert first.done()
    assert second.done()


async def test_the_end_comes_behind_the_last_byte(upload, lane):
    upload.receive(b"all of it")
    upload.attach(lane)
    upload.end()
    assert not lane.ended
    upload.grant(100)
    assert (lane.body, lane.ended) == (b"all of it", True)


async def test_the_end_needs_no_credit(upload, lane):
    upload.attach(lane)
    upload.grant(3)
    upload.receive(b"abc")
    upload.end()
    assert lane.ended


async def test_the_end_is_said_once(upload, lane):
    upload.attach(lane)
    upload.end()
    upload.end()
    upload.grant(100)
    assert lane.ended


async def test_it_is_whole_when_the_client_has_sent_all(upload, lane):
    upload.attach(lane)
    upload.receive(b"held back")
    assert not upload.whole
    upload.end()
    assert upload.whole


async def test_what_is_discarded_goes_nowhere_and_holds_nobody_up(upload, lane):
    upload.attach(lane)
    room = upload.receive(b"held")
    upload.discard()
    assert room.done()
    assert upload.discarding
    assert upload.receive(b"more") is None
    upload.grant(100)
    upload.end()
    assert (lane.body, lane.ended) == (b"", False)


async def test_discarding_before_anything_came_is_as_good(upload):
    upload.discard()
    assert upload.receive(b"more") is None
    assert upload.take() == b""


async def test_a_small_body_is_taken_at_once(upload):
    for piece in (b"ab", b"c", b"d"):
        upload.collect(piece)
    upload.end()
    assert upload.take() == b"abcd"
    assert upload.take() == b""


async def test_a_reader_that_gave_up_waiting_harms_nobody(upload, lane):
    upload.attach(lane)
    upload.receive(b"abc").cancel()
    upload.grant(3)
    assert lane.body == b"abc"


async def test_an_end_that_a_lost_lane_has_not_read_goes_to_the_next_one(upload, lane):
    upload.end()
    upload.attach(FakeLane())
    upload.detach()
    upload.attach(lane)
    assert lane.ended


async def test_a_worker_starves_only_while_it_asks_for_what_has_not_come(upload, lane):
    upload.attach(lane)
    assert not upload.starves
    upload.grant(10)
    assert upload.starves
    upload.receive(b"0123456789")
    assert not upload.starves
    upload.grant(10)
    assert upload.starves
    upload.end()
    assert not upload.starves
