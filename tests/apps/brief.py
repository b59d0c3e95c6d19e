"""Applications that set how long a stop waits for what runs."""

import waterspout
from tests.apps.natives import routes

WORKING = "tests.apps.working:app"

native = waterspout.Application(native=routes, graceful_timeout=1)
both = waterspout.Application(native=routes, wsgi=WORKING, graceful_timeout=1)
around = waterspout.Application(native=routes, wsgi=waterspout.Container(WORKING, graceful_timeout=1))
