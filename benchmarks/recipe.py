"""The recipe that everybody copies: FallbackHandler, WSGIContainer, ThreadPoolExecutor."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

from tornado.web import Application, FallbackHandler
from tornado.wsgi import WSGIContainer

from benchmarks.flask_app import app


async def main() -> None:
    container = WSGIContainer(app, ThreadPoolExecutor(8))
    Application([(r".*", FallbackHandler, {"fallback": container})]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
