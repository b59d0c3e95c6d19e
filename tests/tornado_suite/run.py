"""Tornado's own tests, with our HTTPServer in place of Tornado's. Run as a script; prints JSON.

python -m tests.tornado_suite.run [--stock] [MODULE ...]
"""

import faulthandler
import json
import logging
import sys
import time
import unittest

import tornado.httpserver
import tornado.testing
import tornado.web
from tornado.log import access_log

from waterspout.application import Application
from waterspout.http import HTTPServer

MODULES = (
    "httpserver_test",
    "web_test",
    "websocket_test",
    "wsgi_test",
    "routing_test",
    "simple_httpclient_test",
    "security_corpus_test",
)


class Result(unittest.TestResult):
    """Remembers which tests failed, and the last line of each traceback."""

    def __init__(self):
        super().__init__()
        self.broken = {}

    def startTest(self, test):
        super().startTest(test)
        print(test.id(), file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(30, exit=True)

    def _note(self, test, error):
        name = test.id()
        self.broken[name.removeprefix("tornado.test.")] = f"{error[0].__name__}: {error[1]}"

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, err)


class OurApplication(Application):
    """Ours, with Tornado's arguments."""

    def __init__(self, handlers=None, default_host=None, transforms=None, **settings):
        super().__init__(native=handlers, default_host=default_host, transforms=transforms, **settings)


def main(arguments):
    if "--application" in arguments:
        tornado.web.Application = OurApplication
    if "--stock" not in arguments:
        tornado.httpserver.HTTPServer = HTTPServer
        tornado.testing.HTTPServer = HTTPServer
    logging.getLogger("waterspout.access").setLevel("CRITICAL")
    access_log.setLevel("CRITICAL")  # as Tornado's own runner does: any other log line fails a test
    chosen = [name for name in arguments if not name.startswith("--")] or MODULES
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(loader.loadTestsFromName(f"tornado.test.{name}") for name in chosen)
    result = Result()
    begun = time.monotonic()
    suite.run(result)
    print(
        json.dumps(
            {
                "run": result.testsRun,
                "skipped": len(result.skipped),
                "seconds": round(time.monotonic() - begun, 1),
                "broken": result.broken,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
