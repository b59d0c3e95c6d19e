"""A function that runs at the exit takes a second: agents send what they have gathered there."""

import atexit
import os
import time

from tests.apps.natives import routes

__all__ = ["routes"]


@atexit.register
def send():
    with open(os.environ["SENT"], "w") as file:
        time.sleep(1.0)
        file.write("all")
