"""Fixtures for the tests of lanes and of what runs on them."""

import os
import signal

import pytest

from tests.waterspout.clients import open_client
from tests.waterspout.processes import children
from waterspout.wsgi.pool.pool import Pool
from waterspout.wsgi.settings import PoolSettings


@pytest.fixture
def client(io_loop, http_server, http_port):
    """One connection to the server of the test's `app`."""
    client = io_loop.run_sync(lambda: open_client(http_port))
    yield client
    client.stream.close()


@pytest.fixture
def make_pool(io_loop):
    """Pools that are stopped in the end, however a test leaves them."""
    pools = []

    def make(target="tests.waterspout.wsgi.apps:app", *, workers=0, threads=1, queue=10, **options):
        pools.append(Pool(target, PoolSettings(workers, threads, queue, **options)))
        return pools[-1]

    before = children()
    yield make
    for pool in pools:
        io_loop.run_sync(lambda pool=pool: pool.stop(0))
    leaked = children() - before
    for pid in leaked:
        os.kill(pid, signal.SIGKILL)
    assert not leaked


@pytest.fixture
def gate(tmp_path):
    """What views wait for: `gate.touch()` lets them go on."""
    return tmp_path / "gate"
