"""Tornado's own server: python -m benchmarks.apps.tornado_server MODULE PORT [log]"""

import asyncio
import importlib
import sys

from tornado.log import enable_pretty_logging
from tornado.web import Application


async def main() -> None:
    module, port = sys.argv[1:3]
    if "log" in sys.argv[3:]:
        enable_pretty_logging()
    Application(importlib.import_module(module).routes).listen(int(port), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
