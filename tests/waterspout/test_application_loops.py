"""One application that several tests share, each with a loop of its own, as with unittest and Tornado."""

import asyncio
import unittest
import warnings

import pytest
from tornado import httpserver
from tornado.testing import AsyncHTTPTestCase
from tornado.web import RequestHandler

import waterspout
from tests.waterspout.processes import children
from waterspout.exceptions import PoolError
from waterspout.http import HTTPServer


class Hears(RequestHandler):
    async def get(self):
        async with waterspout.subscribe("a") as subscription:
            waterspout.publish("a", "heard")
            self.write(await asyncio.wait_for(anext(subscription), 5))


def make_app(**options):
    return waterspout.Application(
        native=[("/hears", Hears)], wsgi="tests.waterspout.wsgi.apps:app", wsgi_threads=1, **options
    )


def make_case(app, server, *, stops):
    """A test case of Tornado's, as an application's own tests use it."""

    class Case(AsyncHTTPTestCase):
        def get_app(self):
            return app

        def get_http_server(self):
            return server(app)

        def tearDown(self):
            if stops:
                self.io_loop.run_sync(app.stop)
            super().tearDown()

        def test_1(self):
            assert self.fetch("/hello").body == b"hello"

        def test_2(self):
            assert self.fetch("/hears").body == b"heard"
            assert self.fetch("/hello").body == b"hello"

        def test_3(self):
            self.io_loop.run_sync(app.start)
            assert self.fetch("/hello").body == b"hello"
            assert self.fetch("/hears").body == b"heard"

    return Case


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("server", [httpserver.HTTPServer, HTTPServer])
def test_tests_may_share_an_application(server, workers, stops):
    app = make_app(wsgi_workers=workers)
    before = children()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(make_case(app, server, stops=stops))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = unittest.TestResult()
        suite.run(result)
        asyncio.run(app.stop())
    assert result.testsRun == 3
    assert not result.errors + result.failures
    assert children() == before


def test_while_its_loop_is_open_no_other_one_can_start_it():
    app, here = make_app(wsgi_workers=0), asyncio.new_event_loop()
    here.run_until_complete(app.start())
    for use in (app.start, app.stop):
        with pytest.raises(PoolError, match=r"stop\(\) it on that loop"):
            asyncio.run(use())
    waterspout.publish("a", "it serves still")
    here.run_until_complete(app.stop())
    here.close()
    with pytest.raises(waterspout.NotServing):
        waterspout.publish("a", "it does not")
