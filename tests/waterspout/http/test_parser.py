"""What one connection has sent, as events: the same however the bytes are split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waterspout.http.test_body import bytewise, chunk, split
from waterspout import limits
from waterspout.exceptions import NotHTTP, RequestRefused
from waterspout.http.head import Head, HeadLimits
from waterspout.http.parser import END, RequestParser

HEAD = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
REQUEST = st.one_of(
    st.integers(0, 9).map(lambda number: HEAD % number),
    st.binary(max_size=40).map(
        lambda body: b"POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    ),
    st.lists(st.binary(min_size=1, max_size=20), max_size=4).map(
        lambda pieces: (
            b"PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(map(chunk, pieces))
            + b"0\r\nT: 1\r\n\r\n"
        )
    ),
    st.just(b"\r\n\r\n" + HEAD % 8),
)
CUTS = st.lists(st.integers(0, 10_000), max_size=10)


def take(event, events):
    """Note an event. Pieces of a body are joined."""
    if isinstance(event, Head):
        events.append([event.method, event.target, event.fields, b""])
        if event.body_length == 0:
            events[-1].append(END)
    elif event == END:
        events[-1].append(END)
    else:
        assert event
        events[-1][3] += event


def drain(parser, events):
    """Take all events that there are."""
    while (event := parser.next_event()) is not None:
        take(event, events)


def run(pieces, bounds=HeadLimits()):  # noqa: B008 - an immutable value
    """(events, status of the refusal or None)."""
    parser, events = RequestParser(bounds), []
    try:
        for piece in pieces:
            if (head := parser.take_repeated(piece)) is not None:
                take(head, events)
                continue
            parser.feed(piece)
            drain(parser, events)
    except RequestRefused as refused:
        return events, refused.status
    return events, None


@given(st.lists(REQUEST, min_size=1, max_size=4), CUTS)
def test_splits_make_no_difference(requests, cuts):
    data = b"".join(requests)
    events, status = run([data])
    assert status is None
    assert [event[-1] for event in events] == [END] * len(requests)
    assert run(requests) == run(split(data, cuts)) == run(bytewise(data)) == (events, None)


@given(st.lists(st.one_of(REQUEST, st.binary(max_size=20)), max_size=4), CUTS)
def test_any_bytes_are_taken_or_refused_and_splits_do_not_decide_which(pieces, cuts):
    data = b"".join(pieces)
    events, status = run([data])
    for again, other in (run(split(data, cuts)), run(bytewise(data))):
        # A malformed body may have yielded a part before it failed; heads never differ.
        assert [event[:3] for event in again] == [event[:3] for event in events]
        assert (other is None) == (status is None)


def test_requests_come_one_at_a_time():
    parser = RequestParser(HeadLimits())
    parser.feed(HEAD % 1 + HEAD % 2)
    assert parser.next_event().target == "/1"
    assert parser.held == len(HEAD % 2)
    assert parser.next_event().target == "/2"
    assert parser.held == 0


@pytest.mark.parametrize(
    "begun",
    [
        b"\r",
        b"GET",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nA: %b\r\n\r\n" % (b"x" * limits.REMEMBERED_HEAD),
    ],
    ids=["a line's end", "a method", "a body", "a chunked body", "a body, its head not remembered"],
)
def test_what_looks_like_a_repeated_request_is_none_behind_what_has_begun(begun):
    parser = RequestParser(HeadLimits())
    parser.feed(HEAD % 1)
    drain(parser, [])
    parser.feed(begun)
    drain(parser, [])
    assert parser.take_repeated(HEAD % 1) is None
    assert parser.take_repeated(HEAD % 2) is None


FIELDS = (
    b"Host: x\r\n\r\n",
    b"Host: x\r\nConnection: keep-alive\r\n\r\n",
    b"Host: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Host: x\r\nHost: y\r\n\r\n",
    b"Host: x\r\na: 1\r\nA: 2\r\n\r\n",
    b"\r\n",
    b"broken\r\n\r\n",
)
LINES = (
    *(
        b"GET / HTTP/1.1",
        b"GET /other HTTP/1.1",
        b"POST /other HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET / HTTP/2.0",
    ),
    *(b"CONNECT x:1 HTTP/1.1", b"CONNECT / HTTP/1.1", b"GET http://other/p HTTP/1.1", b"OPTIONS * HTTP/1.1"),
    *(b"GET * HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /\n HTTP/1.1", b"GET /%b HTTP/1.1" % (b"x" * 100), b" "),
)
SMALL = HeadLimits(request_line=60, head=70)


def facts_of(head):
    return [getattr(head, name) for name in Head.__slots__]


def all_heads(data):
    """The attributes of each head in `data`, followed by the refusal's status, if any."""
    parser, found = RequestParser(SMALL), []
    parser.feed(data)
    try:
        while True:
            event = parser.next_event()
            if event is None:
                return found
            if isinstance(event, Head):
                found.append(facts_of(event))
    except RequestRefused as refused:
        return [*found, refused.status]


@given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(FIELDS)), min_size=2, max_size=4))
def test_a_head_means_the_same_behind_any_other(heads):
    """Fields that are repeated are not judged again."""
    alone = []
    for line, fields in heads:
        alone += all_heads(line + b"\r\n" + fields)
        if not isinstance(alone[-1], list):
            break
    assert all_heads(b"".join(line + b"\r\n" + fields for line, fields in heads)) == alone


BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


@pytest.mark.parametrize("behind", [b"", b"GET", HEAD % 1])
def test_a_body_that_is_here_is_taken_in_one_piece(behind):
    parser = RequestParser(HeadLimits())
    for _ in range(2):
        parser.feed(BODY + b"body" + behind)
        assert parser.next_event().body_length == 4
        assert parser.take_body() == b"body"
        assert parser.take_rest() == behind


@pytest.mark.parametrize("body", [b"", b"bod"])
def test_a_body_that_is_not_here_is_not_taken(body):
    parser, events = RequestParser(HeadLimits()), []
    parser.feed(BODY + body)
    parser.next_event()
    assert parser.take_body() is None
    parser.feed(b"body"[len(body) :])
    while events[-1:] != [END]:
        events.append(parser.next_event())
    assert b"".join(events[:-1]) == b"body"


def test_a_chunked_body_is_not_taken_and_none_is_empty():
    parser = RequestParser(HeadLimits())
    parser.feed(
        b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"a") + b"0\r\n\r\n"
    )
    parser.next_event()
    assert parser.take_body() is None
    assert parser.next_event() == b"a"
    parser = RequestParser(HeadLimits())
    parser.feed(HEAD % 1)
    parser.next_event()
    assert parser.take_body() == b""


def test_repeated_fields_are_shared():
    parser = RequestParser(HeadLimits())
    parser.feed(HEAD % 1 + HEAD % 2 + HEAD % 2)
    first = parser.next_event()
    second = parser.next_event()
    assert second.fields is first.fields
    assert (first.target, second.target) == ("/1", "/2")
    assert parser.next_event() is second


def test_a_large_head_is_not_remembered():
    parser = RequestParser(HeadLimits())
    parser.feed(b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n" % (b"x" * limits.REMEMBERED_HEAD) * 2)
    first = parser.next_event()
    assert parser.next_event() is not first


def test_what_is_not_of_http_is_given_back():
    parser = RequestParser(HeadLimits())
    parser.feed(HEAD % 1 + b"\x81\x00")
    parser.next_event()
    assert parser.take_rest() == b"\x81\x00"
    assert parser.held == 0


@pytest.mark.parametrize(
    "data", [b"\r\n" * 3, b"\n" + HEAD % 1, b"\r\r\n", b" " + HEAD % 1, b"\0", b"\x16\x03"]
)
def test_what_may_not_stand_before_a_request(data):
    for pieces in ([data], bytewise(data)):
        parser = RequestParser(HeadLimits())
        with pytest.raises(NotHTTP):
            for piece in pieces:
                parser.feed(piece)
                drain(parser, [])


def test_two_empty_lines_may():
    assert run([b"\r\n\r\n" + HEAD % 1])[0] == run(bytewise(b"\r\n\r\n" + HEAD % 1))[0] != []


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 9000, 414),
        (b"a" * 9000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 12_000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 17_000 + b"\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\nHost: x\r\n", 400),
    ],
)
def test_a_head_that_cannot_become_one_is_refused_before_its_end(data, status):
    assert run([data]) == ([], status)
    assert run([data[n : n + 100] for n in range(0, len(data), 100)]) == ([], status)


def test_what_it_holds_is_bounded():
    for begun in (b"GET / HTTP/1.1\r\nX: ", b"GET /", b"POST / HTTP/1.1\r\n"):
        parser = RequestParser(HeadLimits())
        with pytest.raises(RequestRefused):
            for piece in [begun, *[b"a" * 1000] * 100]:
                parser.feed(piece)
                parser.next_event()
        assert parser.held <= limits.HEAD_SIZE + 2000


def test_a_trickled_head_is_searched_once():
    """Each search begins close to the end of what has come: each byte is looked at only a few times."""
    parser = RequestParser(HeadLimits())
    for number in range(4000):
        parser.feed(b"G" if number == 0 else b"a")
        assert parser.next_event() is None
        assert parser._searched >= number - 3
    assert type(parser._buffer) is bytearray  # which grows in place


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_refusal(data):
    for begun in (
        b"",
        b"GET / HTTP/1.1\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        run([begun, data])
        run([begun, *bytewise(data)])


def test_empty_lines_between_repeated_requests_are_not_added_up():
    """Old clients send one after each request; each time it is the first one before the next request."""
    parser = RequestParser(HeadLimits())
    parser.feed(HEAD % 1)
    assert parser.next_event().target == "/1"
    for _ in range(limits.EMPTY_LINES + 1):
        parser.feed(b"\r\n")
        assert parser.next_event() is None
        assert parser.take_repeated(HEAD % 1).target == "/1"
