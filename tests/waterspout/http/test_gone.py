"""What stands in place of a transport that is gone."""

import asyncio
import inspect

from waterspout.http.gone import GONE


def test_it_is_closed_and_holds_nothing():
    assert GONE.is_closing()
    assert GONE.get_write_buffer_size() == 0
    assert not GONE.can_write_eof()
    assert GONE.get_extra_info("socket") is None
    assert GONE.get_extra_info("peername", "nobody") == "nobody"


def test_whatever_a_transport_can_be_asked_for_it_does_nothing():
    """asyncio's base class raises NotImplementedError for what a subclass leaves out."""
    GONE.write(b"lost")
    GONE.writelines([b"lost"])
    GONE.set_write_buffer_limits(high=0)
    GONE.set_protocol(asyncio.Protocol())
    assert not GONE.is_reading()
    assert GONE.get_write_buffer_limits() == (0, 0)
    assert isinstance(GONE.get_protocol(), asyncio.Protocol)
    for method in (GONE.write_eof, GONE.pause_reading, GONE.resume_reading, GONE.close, GONE.abort):
        assert method() is None


def test_nothing_that_a_transport_can_be_asked_for_is_left_out():
    ours, theirs = vars(type(GONE)), dict(inspect.getmembers(asyncio.Transport, inspect.isfunction))
    assert {name for name in theirs if not name.startswith("_")} - ours.keys() == set()
