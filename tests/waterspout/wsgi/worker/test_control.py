"""A WSGI process's end of its control channel. In separate processes: it ends the one that it is in."""

import json
import re
import socket

import pytest

from tests.waterspout.wsgi.channels import open_channel
from waterspout.wsgi.frames import FAILED, LANE, PING, PLACE, PONG, PUBLISH, READY, SPEC, STOP, WHERE

BEGIN = """
import os, socket, sys, time
from waterspout.exceptions import TargetNotFound, TargetRaised
from waterspout.hub.outbox import open_outbox, publish
from waterspout.wsgi.worker.control import Control
control = Control(socket.socket(fileno=int(sys.argv[1])))
open_outbox(control.outbox)
control.start()
"""


def run_script(code):
    return open_channel("-c", BEGIN + code)


def test_it_says_when_it_is_ready():
    with run_script("control.say_ready(); control.orders.get()") as channel:
        assert channel.hear() == (READY, b"")


@pytest.mark.parametrize("error", ["TargetNotFound", "TargetRaised"])
def test_it_says_why_it_can_t_be(error):
    with run_script(f"control.say_failed({error}('because \u20ac')); control.orders.get()") as channel:
        kind, payload = channel.hear()
    assert (kind, json.loads(payload)) == (FAILED, {"kind": error, "text": "because \u20ac"})


def test_orders_come_in_their_order():
    code = (
        "\nfor _ in range(3): kind, payload, _ = control.orders.get(); publish('got', [kind, len(payload)])"
    )
    with run_script("control.say_ready()" + code + "\ncontrol.orders.get()") as channel:
        channel.hear()
        channel.order(SPEC, bytes(200_000))
        channel.order(SPEC)
        channel.order(STOP)
        heard = [channel.hear() for _ in range(3)]
    assert heard == [
        (PUBLISH, b"got\n[%d,200000]" % SPEC),
        (PUBLISH, b"got\n[%d,0]" % SPEC),
        (PUBLISH, b"got\n[%d,0]" % STOP),
    ]


def test_descriptors_come_with_their_orders_and_go_to_no_grandchild():
    code = """
control.say_ready()
for _ in range(3):
    kind, payload, (descriptor,) = control.orders.get()
    publish("inheritable", os.get_inheritable(descriptor))
    socket.socket(fileno=descriptor).sendall(payload)
control.orders.get()
"""
    with run_script(code) as channel:
        assert channel.hear() == (READY, b"")
        for number in range(3):
            near_end, far_end = socket.socketpair()
            with near_end:
                with far_end:
                    channel.order(LANE, b"%d" % number, (far_end.fileno(),))
                near_end.settimeout(10)
                assert near_end.recv(10) == b"%d" % number
        assert [channel.hear() for _ in range(3)] == [(PUBLISH, b"inheritable\nfalse")] * 3


def test_several_descriptors_in_one_read_keep_their_order():
    code = """
time.sleep(0.3)
control.say_ready()
for name in (b"first", b"second"):
    socket.socket(fileno=control.orders.get()[2][0]).sendall(name)
control.orders.get()
"""
    with run_script(code) as channel:
        pairs = [socket.socketpair() for _ in range(2)]
        for _, far_end in pairs:
            channel.order(LANE, b"", (far_end.fileno(),))
            far_end.close()
        heard = []
        for near_end, _ in pairs:
            near_end.settimeout(10)
            heard.append(near_end.recv(10))
            near_end.close()
        assert heard == [b"first", b"second"]


def test_what_is_published_in_any_thread_goes_out_in_order():
    code = """
import threading
def work():
    for number in range(1000): publish("topic \u20ac", number)
threading.Thread(target=work).start()
control.orders.get()
"""
    with run_script(code) as channel:
        assert [channel.hear() for _ in range(1000)] == [
            (PUBLISH, "topic \u20ac\n".encode() + b"%d" % number) for number in range(1000)
        ]


def test_what_is_still_in_the_outbox_can_be_flushed():
    with run_script("publish('a', 1); control.flush(); os._exit(0)") as channel:
        assert channel.hear() == (PUBLISH, b"a\n1")
        assert channel.exit_code() == 0


def test_told_to_stop_before_it_is_ready_it_ends_whatever_it_does():
    with run_script("\nwhile True: pass") as channel:
        channel.order(STOP)
        assert channel.exit_code() == 0


def test_told_to_stop_when_it_is_ready_it_leaves_that_to_the_main_thread():
    code = f"control.say_ready(); assert control.orders.get()[0] == {STOP}; os._exit(7)"
    with run_script(code) as channel:
        channel.hear()
        channel.order(STOP)
        assert channel.exit_code() == 7


@pytest.mark.parametrize("ready", [True, False])
def test_when_the_server_is_gone_it_ends_whatever_it_does(ready):
    with run_script(f"control.ready = {ready}\nwhile True: time.sleep(1)") as channel:
        channel.sock.close()
        assert channel.exit_code() == 1


def test_when_the_server_is_gone_the_main_thread_is_told_and_may_end_first():
    code = f"control.say_ready(); assert control.orders.get()[0] == {STOP}; os._exit(7)"
    with run_script(code) as channel:
        channel.hear()
        channel.sock.close()
        assert channel.exit_code() == 7


def test_a_server_that_is_gone_is_no_error_of_who_publishes():
    code = """
control.say_ready()
control.orders.get()
for number in range(100): publish("nobody", "x" * 1000)
os._exit(5)
"""
    with run_script(code) as channel:
        channel.hear()
        channel.sock.close()
        assert channel.exit_code() == 5


def test_it_answers_a_ping_whatever_the_main_thread_does():
    with run_script("control.say_ready()\nwhile True: pass") as channel:
        channel.hear()
        for _ in range(3):
            channel.order(PING)
            assert channel.hear() == (PONG, b"")


def test_it_tells_where_a_thread_stands_whatever_that_does():
    code = """
import threading
def lane():
    while True: time.sleep(0.01)
thread = threading.Thread(target=lane, daemon=True)
thread.start()
publish("thread", thread.native_id)
def load():
    while True: pass
load()
"""
    with run_script(code) as channel:
        thread = channel.hear()[1].partition(b"\n")[2]
        places = []
        for number in (thread, b"0", b"1"):
            channel.order(WHERE, number)
            kind, payload = channel.hear()
            assert kind == PLACE
            places.append(payload)
    assert re.fullmatch(thread + rb" \S+:\d+ in \S+", places[0])
    assert re.fullmatch(rb"0 <string>:\d+ in load", places[1])
    assert places[2] == b"1 "


def test_what_keeps_it_from_ending_is_not_the_app_until_it_has_begun_to_end():
    """On a busy machine the main thread may not have had its turn yet."""
    code = """
control.say_ready()
control.orders.get()
control.is_ending = True
publish("ending", 1)
def leave():
    while True: time.sleep(0.01)
leave()
"""
    with run_script(code) as channel:
        channel.hear()
        channel.order(WHERE, b"-1")
        _, said = channel.hear()
        assert said.startswith(b"-1 too little processor time to end, at ")
        channel.order(STOP)
        channel.hear()
        channel.order(WHERE, b"-1")
        _, said = channel.hear()
        assert said.startswith(b"-1 exit functions registered by the app are still running, at ")


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_lane_of_which_some_descriptors_got_lost_is_no_order(room):
    """The process can't hold that many: the kernel drops the others, and says so."""
    code = f"""
import resource
control.say_ready()
control.orders.get()
free = [os.dup(0) for _ in range(40)]
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1] + 1 + {room}, hard))
publish("full", 1)
publish("got", control.orders.get()[0])
time.sleep(9)
"""
    with run_script(code) as channel:
        channel.hear()
        channel.order(SPEC)
        assert channel.hear() == (PUBLISH, b"full\n1")
        pair = socket.socketpair()
        with pair[0], pair[1]:
            channel.order(LANE, b"", (pair[0].fileno(), pair[1].fileno(), pair[1].fileno()))
        channel.order(SPEC)
        assert channel.hear() == (PUBLISH, b"got\n%d" % SPEC)


def test_a_lane_whose_descriptor_got_lost_is_no_order():
    with run_script("control.say_ready(); publish('got', control.orders.get()[0]); time.sleep(9)") as channel:
        channel.hear()
        channel.order(LANE)
        channel.order(SPEC)
        assert channel.hear() == (PUBLISH, b"got\n%d" % SPEC)


def test_a_forked_child_ends_without_a_word():
    """It has a copy of what is still to be sent, and of the lock of a thread that it does not have."""
    code = """
control.say_ready()
control.flush_at_exit()
control._flushing.acquire()
control.outbox.put("topic", b"1")
if not (child := os.fork()):
    sys.exit()
deadline = time.monotonic() + 5
while not (ended := os.waitpid(child, os.WNOHANG)[0]) and time.monotonic() < deadline:
    time.sleep(0.01)
if not ended:
    os.kill(child, 9)
control._flushing.release()
publish("ended", bool(ended))
control.orders.get()
"""
    with run_script(code) as channel:
        channel.hear()
        assert [channel.hear() for _ in range(2)] == [(PUBLISH, b"topic\n1"), (PUBLISH, b"ended\ntrue")]


@pytest.mark.parametrize("publisher", ["control.outbox.put", "publish"])
def test_publishing_may_happen_in_the_middle_of_publishing(publisher):
    """The garbage collector may run at any time, and what it frees may publish: here, at every line."""
    code = f"""
def come(frame, event, argument):
    if event == "line":
        sys.settrace(None)
        {publisher}("inner", b"" if "outbox" in {publisher!r} else 0)
        sys.settrace(come)
    return come
sys.settrace(come)
for _ in range(20):
    {publisher}("outer", b"" if "outbox" in {publisher!r} else 0)
sys.settrace(None)
control.flush()
control.say_ready()
control.orders.get()
"""
    topics = []
    with run_script(code) as channel:
        while (heard := channel.hear())[0] != READY:
            topics.append(heard[1].partition(b"\n")[0])
    assert topics.count(b"outer") == 20
    assert topics.count(b"inner") > 20
