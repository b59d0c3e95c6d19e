"""Native routes and the Flask app in one Starlette, by a2wsgi."""

from starlette.applications import Starlette
from starlette.routing import Mount

from benchmarks.apps import bridge, starlette_app

app = Starlette(routes=[*starlette_app.app.routes, Mount("/", app=bridge.app)])
