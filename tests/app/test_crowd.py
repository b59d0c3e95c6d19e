"""A thousand readers while an operator posts. (No speed is asserted beyond what was promised: within a second
on an idle machine, and this one may be busy.)
"""

import asyncio

import pytest

from tests.app.crowd import Asker, many_descriptors, open_readers
from tests.app.operating import Operator, read_password
from tests.app.serving import serve_board

pytestmark = pytest.mark.faults

READERS = 1000
POSTS = 3
PATIENCE = 30.0


@pytest.fixture
def board(tmp_path):
    with many_descriptors(READERS), serve_board(tmp_path) as address:
        yield address, Operator(address, *read_password(tmp_path))


def test_a_thousand_readers_hear_of_every_update_and_the_page_goes_on_answering(board):
    address, operator = board
    askers = [Asker(address, path) for path in ("/api/incidents", "/")]
    asyncio.run(post_to_a_crowd(address, operator, askers))
    for asker in askers:
        assert asker.statuses == {200}
        assert asker.quantile(0.99) < 5  # waiting for all readers would take longer


async def post_to_a_crowd(address, operator, askers):
    async with open_readers(address, READERS) as readers:
        for asker in askers:
            asker.start()
        try:
            for n in range(POSTS):
                heard = asyncio.gather(*(reader.hear_of(f"More {n}.") for reader in readers))
                await asyncio.to_thread(post_update, operator, f"More {n}.")
                await asyncio.wait_for(heard, PATIENCE)
        finally:
            for asker in askers:
                await asyncio.to_thread(asker.stop)


def post_update(operator, text):
    operator.post(incident="3", state="monitoring", impact="", text=text)


def test_a_thousand_who_leave_at_once_leave_nothing_behind(board):
    address, _ = board
    asyncio.run(come_and_go(address))
    asker = Asker(address, "/healthz")
    asker.start()
    asyncio.run(come_and_go(address))
    asker.stop()
    assert asker.statuses == {200}


async def come_and_go(address):
    async with open_readers(address, READERS):
        pass
