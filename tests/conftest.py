"""Fixtures for every test that needs a real server, in both forms of the lanes."""

import asyncio
import compileall
import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.server import FORMS, ROOT, STARTED, Server, reserved_port

# No deadline: on a busy machine, any example may take a second.
settings.register_profile("waterspout", database=None, deadline=None)
settings.load_profile("waterspout")


def pytest_configure():
    """A run ended by SIGTERM must end its servers too: the default action would skip every teardown."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _compile()


def _compile():
    """Compile here, once, not in each of some thousand servers: those are forbidden to write bytecode.

    Where there is bytecode of a module's first version, Python doesn't notice a second version of the same
    length, written in the same second.
    """
    for folder in ("waterspout", "app", "handlers", "wsgi_app", "tests/apps"):
        compileall.compile_dir(ROOT / folder, quiet=1)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def pytest_ignore_collect(collection_path):
    """Collect only the test modules listed in the file that the variable names (tests/matrix.py)."""
    if (chosen := os.environ.get("WATERSPOUT_TEST_MODULES")) and collection_path.is_file():
        return str(collection_path.relative_to(ROOT)) not in Path(chosen).read_text().splitlines() or None
    return None


def pytest_runtest_logreport(report):
    """A test that is skipped here may start a server where it isn't skipped."""
    if report.skipped:
        STARTED.add(report.nodeid.partition("::")[0])


def pytest_sessionfinish(session):
    """Note which test modules may fare differently on another server or loop, if all of them have run."""
    seen = os.environ.get("WATERSPOUT_TEST_SEEN")
    if seen and not (session.shouldstop or session.shouldfail):
        Path(seen).write_text("\n".join(sorted(STARTED)))


class Shared:
    """One server for the tests of a module; one that a test left broken is replaced before the next test."""

    def __init__(self, start):
        self._start = start
        self._server = None

    def running(self):
        if self._server is None or self._server.process.poll() is not None:
            self.discard()
            self._server = self._start()
        return self._server

    def discard(self):
        server, self._server = self._server, None
        if server is not None:
            server.kill()

    def stop(self):
        if self._server is not None:
            self._server.stop()


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    """Lane workers as threads of the server, or in a process of their own."""
    return request.param


@pytest.fixture(scope="module")
def shared_server(request, form, tmp_path_factory):
    """Started with the arguments in the test module's SERVE."""

    def start():
        return Server(*request.module.SERVE, form=form, folder=tmp_path_factory.mktemp("server"))

    shared = Shared(start)
    yield shared
    shared.stop()


@pytest.fixture
def server(shared_server):
    """The module's server. After each test a canary goes over the same lane: nothing may be left on it."""
    server = shared_server.running()
    try:
        yield server
        server.release()
        server.canary()
    except BaseException:
        shared_server.discard()
        raise


@pytest.fixture
def port():
    """For a server that is started twice at the same address."""
    with reserved_port() as port:
        yield str(port)


@pytest.fixture
def start_server(tmp_path_factory):
    """Start servers for one test alone. They are killed, not drained: some tests check the stop itself."""
    started = []

    def start(*arguments, **options):
        started.append(Server(*arguments, folder=tmp_path_factory.mktemp("server"), **options))
        return started[-1]

    start.started = started
    yield start
    for server in started:
        server.kill()


def servers_of(item):
    arguments = getattr(item, "funcargs", {})
    yield from (value for value in arguments.values() if isinstance(value, Server))
    yield from getattr(arguments.get("start_server"), "started", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what its servers logged."""
    report = yield
    if report.failed:
        report.sections += [("server log", server.log[-4000:]) for server in servers_of(item)]
    return report


@pytest.fixture(scope="session", autouse=True)
def _main_thread_loop():
    """pytest-tornado asks for the main thread's event loop, which creates one, and never closes it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="module", autouse=True)
def _small_heap():
    """Let the garbage collector scan what one module creates, not the heap of the whole run each time.

    Tests that call it take a fifth of the time. What is frozen stays so: to collect all of it once for each
    module would take 0.2 s of each.
    """
    gc.collect()
    gc.freeze()
