"""The recipe that everybody copies: FallbackHandler, WSGIContainer, ThreadPoolExecutor."""

from concurrent.futures import ThreadPoolExecutor

from tornado.web import FallbackHandler
from tornado.wsgi import WSGIContainer

from benchmarks.apps.flask_app import app

routes = [(r".*", FallbackHandler, {"fallback": WSGIContainer(app, ThreadPoolExecutor(8))})]
