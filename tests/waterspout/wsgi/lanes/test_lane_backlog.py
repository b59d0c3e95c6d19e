"""Requests that lie ready behind a running one: both ends of a lane and of its backlog, joined for real."""

import asyncio
import math
import os
import socket
import sys
import threading
import time
import unittest.mock

import pytest

from tests.waterspout.wsgi.jobs import Job, wait_for
from tests.waterspout.wsgi.worker.test_worker import answering
from waterspout.limits import PACKET, QUICK_VIEW
from waterspout.wsgi.backlog import Backlog, is_possible
from waterspout.wsgi.frames import CANCEL, SLEPT, pack, pack_about
from waterspout.wsgi.lanes.lane import Lane
from waterspout.wsgi.worker.alive import client_alive
from waterspout.wsgi.worker.worker import LaneWorker

pytestmark = [
    pytest.mark.gen_test(timeout=20),
    pytest.mark.skipif(not is_possible(), reason="backlogs are pipes of packets: Linux alone has those"),
]


class Closing(list):
    """One chunk, whose `close` waits."""

    def __init__(self, chunks, gate):
        super().__init__(chunks)
        self.close = lambda: gate.wait(10)


class App:
    """Answers with the path. `/gate` waits until `open`; `ran`: what has been asked for, in order."""

    def __init__(self):
        self.open = threading.Event()
        self.ran = []
        self.closed = []

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        self.ran.append(path)
        return getattr(self, path.strip("/").rstrip("0123456789") or "small")(environ, start_response)

    def small(self, environ, start_response):
        return answering([environ["PATH_INFO"].encode()])(environ, start_response)

    def echo(self, environ, start_response):
        return answering([environ["wsgi.input"].read()])(environ, start_response)

    def gate(self, environ, start_response):
        assert self.open.wait(10)
        return answering([b"gate"])(environ, start_response)

    def closing(self, environ, start_response):
        """The reply is whole, but its worker is not free."""
        iterable = answering([b"closing"])(environ, start_response)
        return Closing(iterable, self.open)

    def page(self, environ, start_response):
        return answering([environ["PATH_INFO"].encode() * 5000])(environ, start_response)

    def flood(self, environ, start_response):
        """Larger than what one read of the lane brings, smaller than what a socket holds."""
        return answering([bytes(150_000)])(environ, start_response)

    def alive(self, environ, start_response):
        return answering([str(client_alive(environ)).encode()])(environ, start_response)

    def large(self, environ, start_response):
        return answering([bytes(2 * PACKET)])(environ, start_response)

    def pieces(self, environ, start_response):
        return answering(iter([b"one", b"two", b"three"]))(environ, start_response)

    def late(self, environ, start_response):
        time.sleep(3 * QUICK_VIEW)
        return answering([b"late"])(environ, start_response)

    def fails(self, environ, start_response):
        raise ValueError("the view failed")

    def interrupted(self, environ, start_response):
        """A library's timeout, raised from outside, comes just when the reply is to be sent."""

        def interrupt(frame, event, arg):
            if event == "call" and frame.f_code is LaneWorker.send.__code__:
                sys.setprofile(None)
                raise TimeoutError

        assert self.open.wait(10)
        sys.setprofile(interrupt)
        return answering([b"never sent"])(environ, start_response)

    def endless(self, environ, start_response):
        def ticks():
            try:
                while True:
                    yield b"tick"
                    time.sleep(0.001)
            finally:
                self.closed.append("endless")

        return answering(ticks())(environ, start_response)


class Joined:
    """A lane with a backlog, and its worker. `cores`: how many those two have."""

    def __init__(self, cores=2):
        self.cores = cores
        self.app = App()
        self.idle = 0
        self.slept = 0
        self.woken = 0
        self.said = []  # by the worker, over the lane
        self.returned = []
        self.backlog = Backlog()
        self.lane = Lane(
            self._on_idle, lambda lane: None, self._on_slept, self._on_paused, backlog=self.backlog
        )
        received = self.lane.data_received
        self.lane.data_received = lambda data: (self._count(), received(data))

    def _count(self):
        self.woken += 1

    def _on_idle(self, lane):
        self.idle += 1

    def _on_slept(self, lane):
        self.slept += 1

    def _on_paused(self, lane):
        self.returned += lane.take_back()

    async def open(self):
        near_end, self.far_end = socket.socketpair()
        near_end.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self.lane, sock=near_end)
        with unittest.mock.patch("waterspout.wsgi.worker.worker.count_cores", return_value=self.cores):
            worker = LaneWorker(
                self.far_end, self.app, multithread=False, multiprocess=False, backlog=self.backlog.far_end
            )
        say = worker._say
        worker._say = lambda frames: (self.said.append(frames), say(frames))
        self.thread = threading.Thread(target=worker.run, daemon=True)
        self.thread.start()

    async def close(self):
        self.app.open.set()
        self.lane.close()
        await wait_for(lambda: not self.thread.is_alive())

    async def begin(self, *targets):
        """The first runs; the others lie ready behind it. One job each."""
        jobs = [target if isinstance(target, Job) else Job(target) for target in targets]
        jobs[0].start(self.lane)
        await wait_for(lambda: self.app.ran)
        for job in jobs[1:]:
            assert job.put_behind(self.lane)
        return jobs

    async def run_behind(self, *targets):
        """The first is over at once; the worker has taken the second, which is the gate, and said nothing."""
        jobs = [Job(target) for target in ("/1", "/gate", *targets)]
        jobs[0].start(self.lane)
        for job in jobs[1:]:
            assert job.put_behind(self.lane)
        await wait_for(lambda: "/gate" in self.app.ran)
        return jobs

    def wait_until_run(self, *targets):
        """Keep the event loop busy until the worker has begun them."""
        deadline = time.monotonic() + 10
        while self.app.ran != [*targets] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.app.ran == [*targets]

    async def until_idle(self):
        await wait_for(lambda: self.idle)
        assert (self.idle, self.lane.busy, self.backlog.users) == (1, False, {})


@pytest.fixture
def joined(io_loop, request):
    joined = Joined(getattr(request, "param", 2))
    io_loop.run_sync(joined.open)
    yield joined
    io_loop.run_sync(joined.close)


@pytest.mark.parametrize("rest", [[], ["/1"], [f"/{number}" for number in range(1, 30)]])
async def test_each_is_answered_in_its_order_and_then_the_lane_is_free(joined, rest):
    jobs = await joined.begin("/gate", *rest)
    joined.app.open.set()
    await joined.until_idle()
    assert [await job.answer() for job in jobs] == [b"gate", *(target.encode() for target in rest)]
    assert joined.app.ran == ["/gate", *rest]
    assert joined.lane.steps == len(jobs)


async def test_the_reply_to_a_client_that_has_left_is_nobody_else_s(joined):
    """The worker has sent it, and has taken the next request, and the event loop has read neither."""
    first, second = Job("/gate"), Job("/1")
    first.start(joined.lane)
    await wait_for(lambda: joined.app.ran)
    assert second.put_behind(joined.lane)
    joined.lane.cancel(first)
    joined.app.open.set()
    joined.wait_until_run("/gate", "/1")
    assert joined.lane.take_back() == []
    assert await second.answer() == b"/1"
    await joined.until_idle()


@pytest.mark.parametrize("joined", [1, 2], indirect=True)
async def test_the_event_loop_is_not_woken_for_each(joined, monkeypatch):
    monkeypatch.setattr("waterspout.wsgi.worker.worker.QUICK_VIEW", math.inf)
    await joined.begin("/gate", *["/1"] * 50)
    joined.app.open.set()
    await joined.until_idle()
    assert joined.woken < 20


@pytest.mark.parametrize(("joined", "brief"), [(1, math.inf), (1, 0.0), (2, math.inf)], indirect=["joined"])
async def test_on_a_core_for_both_brief_views_don_t_wake_it_before_all_is_done(joined, brief, monkeypatch):
    monkeypatch.setattr("waterspout.wsgi.worker.worker.BRIEF_VIEW", brief)
    monkeypatch.setattr("waterspout.wsgi.worker.worker.QUICK_VIEW", math.inf)
    await joined.begin("/gate", "/0", *["/1"] * 50)
    joined.said.clear()
    joined.app.open.set()
    await joined.until_idle()
    answers = [frames for frames in joined.said if frames != pack(SLEPT)]  # said on a busy machine
    # The gate; half, as nothing is known of the views; the other half; IDLE. Else a half of each rest.
    assert len(answers) == (4 if joined.cores == 1 and brief else 8)


@pytest.mark.parametrize("odd", ["/large", "/pieces", "/late"])
async def test_what_is_no_small_quick_answer_comes_down_the_lane(joined, odd):
    jobs = await joined.begin("/gate", "/1", odd, "/2", odd)
    joined.app.open.set()
    await joined.until_idle()
    body = {"/large": bytes(2 * PACKET), "/pieces": b"onetwothree", "/late": b"late"}[odd]
    assert [await job.answer() for job in jobs] == [b"gate", b"/1", body, b"/2", body]


async def test_a_small_body_lies_ready_with_its_request(joined):
    jobs = await joined.begin("/gate", Job("/echo", b"body" * 500), "/1", Job("/echo", b"other"))
    joined.app.open.set()
    assert [await job.answer() for job in jobs] == [b"gate", b"body" * 500, b"/1", b"other"]


async def test_a_view_that_fails_is_answered_and_the_next_one_runs(joined):
    jobs = await joined.begin("/gate", "/fails", "/1")
    joined.app.open.set()
    assert await jobs[2].answer() == b"/1"
    assert (await jobs[1].end(), jobs[1].head.status) == ("whole", 500)


async def test_what_the_worker_has_not_taken_can_be_taken_back(joined):
    jobs = await joined.begin("/gate", "/1", "/2")
    assert joined.lane.take_back() == jobs[1:]
    assert not joined.lane.takes_more
    joined.app.open.set()
    await joined.until_idle()
    assert joined.app.ran == ["/gate"]


async def test_of_several_the_one_that_runs_is_known_when_the_rest_is_taken_back(joined):
    _, slow, other = await joined.run_behind("/2")
    await asyncio.sleep(0.01)
    assert joined.lane.take_back() == [other]
    assert joined.lane.user is slow
    assert joined.lane.record is slow.record
    joined.app.open.set()
    assert await slow.answer() == b"gate"
    await joined.until_idle()
    assert joined.app.ran == ["/1", "/gate"]


async def test_one_that_runs_lies_behind_nothing_though_it_says_nothing(joined):
    _, slow, _ = await joined.run_behind("/2")
    await asyncio.sleep(0.01)
    joined.lane.take_back()
    assert Job("/3").put_behind(joined.lane)
    assert joined.lane.behind == 1
    joined.lane.take_back()
    assert joined.lane.behind == 0
    joined.lane.cancel(slow)
    assert joined.lane.behind == 0
    joined.app.open.set()
    await joined.until_idle()
    assert joined.lane.behind == 0


async def test_a_request_that_lies_ready_when_its_client_leaves_is_never_run(joined):
    jobs = await joined.begin("/gate", "/1", "/2", "/3")
    joined.lane.cancel(jobs[2])
    joined.app.open.set()
    await joined.until_idle()
    assert joined.app.ran == ["/gate", "/1", "/3"]
    assert not jobs[2].outcome.done()
    assert await jobs[3].answer() == b"/3"


async def test_one_that_runs_is_told_that_its_client_left_and_no_other_is(joined):
    jobs = await joined.begin("/gate", "/endless", "/1")
    joined.app.open.set()
    await wait_for(lambda: jobs[1].body)
    joined.lane.cancel(jobs[1])
    await joined.until_idle()
    assert joined.app.closed == ["endless"]
    assert await jobs[2].answer() == b"/1"


async def test_one_that_was_taken_in_silence_is_told_too(joined):
    _, slow, after = await joined.run_behind("/2")
    joined.lane.cancel(slow)
    joined.app.open.set()
    await joined.until_idle()
    assert not slow.outcome.done()
    assert await after.answer() == b"/2"


async def test_a_late_word_about_one_client_is_not_taken_for_another_s(joined):
    jobs = await joined.begin("/gate", "/endless")
    joined.app.open.set()
    await wait_for(lambda: jobs[1].body)
    joined.lane.user = jobs[0]
    joined.lane._token, token = 0, joined.lane._token
    joined.lane.cancel(jobs[0])
    joined.lane.user, joined.lane._token = jobs[1], token
    seen = len(jobs[1].body)
    await wait_for(lambda: len(jobs[1].body) > seen + 20)
    joined.lane.cancel(jobs[1])
    await joined.until_idle()


async def test_what_is_put_there_when_the_worker_has_just_looked_is_not_forgotten(joined):
    """It has said that it is idle; the event loop has not read that yet."""
    first = Job("/1")
    first.start(joined.lane)
    time.sleep(0.05)  # the worker is done, and the loop, which is blocked, has heard nothing
    second = Job("/2")
    assert second.put_behind(joined.lane)
    assert [await first.answer(), await second.answer()] == [b"/1", b"/2"]
    await joined.until_idle()


async def test_a_lane_that_is_lost_tells_each_whether_it_ran(joined):
    jobs = await joined.begin("/gate", "/1", "/2")
    joined.far_end.shutdown(socket.SHUT_RDWR)
    assert [await job.end() for job in jobs] == ["lost", "unread", "unread"]


@pytest.mark.parametrize("how", ["taken back", "lost"])
async def test_while_a_worker_closes_nothing_that_lies_ready_is_taken_for_what_it_runs(joined, how):
    """It would be answered 502 when that lane is lost, though by then it runs on another."""
    first, *jobs = [Job(target) for target in ("/closing", "/1", "/2")]
    first.start(joined.lane)
    for job in jobs:
        job.put_behind(joined.lane)
    assert await first.answer() == b"closing"
    if how == "taken back":
        assert joined.lane.take_back() == jobs
        assert joined.lane.user not in jobs
    joined.far_end.shutdown(socket.SHUT_RDWR)
    if how == "lost":
        assert [await job.end() for job in jobs] == ["unread", "unread"]
    await wait_for(lambda: joined.lane.backlog is None)
    assert [job.outcome.done() for job in jobs] == [how == "lost"] * 2


async def test_an_answer_that_lay_ready_when_the_lane_was_lost_is_found(joined):
    jobs = [Job(target) for target in ("/1", "/2", "/3", "/4", "/gate")]
    jobs[0].start(joined.lane)
    for job in jobs[1:]:
        job.put_behind(joined.lane)
    second, third = jobs[1], jobs[-1]
    await wait_for(lambda: "/gate" in joined.app.ran)
    joined.far_end.shutdown(socket.SHUT_RDWR)
    assert await second.answer() == b"/2"
    assert await third.end() == "lost"


async def test_views_that_sleep_are_told_of(joined):
    jobs = await joined.begin("/gate", *["/late"] * 6)
    joined.app.open.set()
    await joined.until_idle()
    assert joined.slept
    assert await jobs[-1].answer() == b"late"


async def test_pages_that_fill_the_pipe_are_each_their_client_s(joined):
    """The loop also looks into the pipe before the rest of one has come down the lane."""
    jobs = await joined.begin("/gate", *[f"/page{number}" for number in range(60)])
    joined.app.open.set()
    while not joined.idle:
        joined.lane.collect()
        await asyncio.sleep(0)
    assert [await job.answer() for job in jobs[1:]] == [
        f"/page{number}".encode() * 5000 for number in range(60)
    ]
    assert joined.backlog.users == {}


async def test_nobody_waits_for_the_client_of_another_one(joined):
    """It takes nothing of its reply: what lies behind that goes elsewhere, and what was taken is answered."""

    class Slow(Job):
        def on_reply(self, head, data, end):
            super().on_reply(head, data, None)
            self.is_held = self.lane.pause()

    slow, *jobs = [Slow("/flood"), *(Job(f"/{number}") for number in range(5))]
    slow.start(joined.lane)
    for job in jobs:
        job.put_behind(joined.lane)
    # It depends on what the worker had taken when the loop saw that the client is slow.
    await wait_for(lambda: all(job.outcome.done() or job in joined.returned for job in jobs))
    assert not any(job.outcome.done() and job in joined.returned for job in jobs)


async def test_behind_a_slow_client_nothing_is_laid(joined):
    class Slow(Job):
        def on_reply(self, head, data, end):
            super().on_reply(head, data, None)
            self.is_held = self.lane.pause()

    slow = Slow("/flood")
    slow.start(joined.lane)
    assert joined.lane.takes_more
    await wait_for(lambda: slow.head)
    assert slow.is_held
    assert not joined.lane.takes_more
    joined.lane.cancel(slow)


async def test_that_the_client_of_one_that_lies_ready_sends_no_more_is_known_when_it_runs(joined):
    jobs = await joined.begin("/gate", "/alive", "/alive")
    joined.lane.say_eof(jobs[2])
    joined.app.open.set()
    assert [await job.answer() for job in jobs] == [b"gate", b"True", b"False"]


async def test_a_word_that_is_half_here_does_not_spoil_what_lies_ready(joined):
    """A read of the lane may end anywhere."""
    jobs = await joined.begin("/gate", "/alive")
    word = pack_about(CANCEL, 4711, "somebody left")
    joined.lane.send(word[:7])
    joined.app.open.set()
    assert await jobs[1].answer() == b"True"
    joined.lane.send(word[7:])
    await joined.until_idle()


async def test_one_that_can_t_take_its_answer_does_not_keep_the_others_from_theirs(joined, caplog):
    class Broken(Job):
        def on_answer(self, answer):
            raise ValueError("no client")

    jobs = await joined.begin("/gate", "/1", Broken("/2"), "/3", "/4", "/5", "/6")
    joined.app.open.set()
    await joined.until_idle()
    assert [await job.answer() for job in (jobs[1], *jobs[3:])] == [b"/1", b"/3", b"/4", b"/5", b"/6"]
    assert await jobs[2].end() == "broken off"


async def test_requests_that_a_worker_takes_and_never_answers_are_lost_and_not_waited_for(joined, caplog):
    jobs = await joined.begin("/gate", "/1")
    joined.backlog.far_end.take()
    joined.app.open.set()
    assert await jobs[0].answer() == b"gate"
    assert await jobs[1].end() == "lost"
    assert "1 requests were taken from a backlog and not answered" in caplog.text


@pytest.mark.parametrize(
    "targets",
    [
        ["/interrupted", "/1"],
        ["/interrupted", *["/1"] * 9],
        ["/gate", "/1", "/interrupted", *["/1"] * 9],
        ["/gate", "/interrupted", "/interrupted", *["/1"] * 9],
    ],
)
async def test_one_that_its_worker_has_not_answered_when_it_goes_on_is_lost_alone(joined, targets, caplog):
    jobs = await joined.begin(*targets)
    joined.app.open.set()
    ends = ["lost" if target == "/interrupted" else "whole" for target in targets]
    assert [await job.end() for job in jobs] == ends
    await joined.until_idle()
    assert caplog.text.count("its lane went on to another before its reply was complete") == ends.count(
        "lost"
    )


async def test_who_is_put_back_behind_another_when_a_client_leaves_is_not_lost(joined, monkeypatch):
    """The worker takes the last while the one before it is out of the pipe."""
    jobs = await joined.begin("/gate", "/0", "/pieces1", "/pieces2")
    read = os.read

    def interrupted(pipe, size):
        packet = read(pipe, size)
        if pipe == joined.backlog._unread and b"/pieces1" in packet:
            joined.app.open.set()
            joined.wait_until_run("/gate", "/pieces2")
        return packet

    monkeypatch.setattr("waterspout.wsgi.backlog.read", interrupted)
    joined.lane.cancel(jobs.pop(1))
    assert [await job.end() for job in jobs] == ["whole"] * 3
    await joined.until_idle()
    assert joined.app.ran == ["/gate", "/pieces2", "/pieces1"]


async def test_a_late_word_about_one_whose_client_left_is_not_the_loss_of_the_one_that_runs(joined):
    """All of it is still to be read when it turns out who runs."""
    jobs = await joined.begin("/gate", "/pieces1", "/pieces2")
    joined.app.open.set()
    joined.wait_until_run("/gate", "/pieces1", "/pieces2")
    joined.lane.cancel(jobs[0])
    assert joined.lane.take_back() == []
    joined.lane.cancel(jobs[1])
    joined.lane.collect()
    assert await jobs[2].answer() == b"onetwothree"
    await joined.until_idle()


async def test_behind_one_whose_client_left_the_one_that_runs_is_known(joined):
    """The worker reports no end for a request that is cancelled."""
    gone, slow = Job("/endless"), Job("/gate")
    gone.start(joined.lane)
    assert slow.put_behind(joined.lane)
    await wait_for(lambda: gone.body)
    joined.lane.cancel(gone)
    await wait_for(lambda: "/gate" in joined.app.ran)
    assert joined.lane.take_back() == []
    assert joined.lane.user is slow
    assert joined.lane.record is slow.record
    joined.app.open.set()
    assert await slow.answer() == b"gate"
    await joined.until_idle()
