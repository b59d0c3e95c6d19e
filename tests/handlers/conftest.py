import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

import handlers
import waterspout
from app.store import TOPIC
from tests.app.databases import make_empty_database
from waterspout.native import Cache
from waterspout.native.live import Watch
from waterspout.service.sql import AsyncStore, Store

# So that a test sees a heartbeat, an empty poll, and what nobody announced, without waiting for it.
HEARTBEAT = 0.3
PATIENCE = 0.5
CHECK_INTERVAL = 0.2


@pytest.fixture
def database_url(tmp_path: Path) -> URL:
    return make_empty_database(tmp_path)


@pytest.fixture
def store(database_url: URL) -> Iterator[Store]:
    """The Flask side's view of the database: it posts."""
    store = Store(database_url)
    yield store
    store.close()


@pytest.fixture
def async_store(database_url: URL, io_loop) -> Iterator[AsyncStore]:
    async_store = AsyncStore(database_url)
    yield async_store
    io_loop.run_sync(finish_tasks)
    io_loop.run_sync(async_store.close)


async def finish_tasks() -> None:
    """Let handlers end whose client left in the middle of a query, as a draining server does; and then the
    tasks that they have begun at their end, in which SQLAlchemy closes a session.
    """
    unfinished: set[asyncio.Task[Any]] = set()
    while not unfinished and (tasks := asyncio.all_tasks() - {asyncio.current_task()}):
        _, unfinished = await asyncio.wait(tasks, timeout=5)


@pytest.fixture
def app(io_loop, async_store: AsyncStore) -> Iterator[waterspout.Application]:
    """The native side alone, with short waits and no cached documents: those are for `test_documents`."""
    resources = handlers.build_resources(async_store)
    resources["documents"] = Cache(0, 10)
    resources["watch"] = Watch(TOPIC, resources["watch"].source, interval=CHECK_INTERVAL)
    app = waterspout.Application(native=handlers.routes, heartbeat=HEARTBEAT, patience=PATIENCE, **resources)
    yield app
    io_loop.run_sync(app.stop)
