"""The Flask app inside Starlette, by a2wsgi."""

from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.routing import Mount

from benchmarks.apps.flask_app import app as flask_app

app = Starlette(routes=[Mount("/", app=WSGIMiddleware(flask_app, workers=8))])
