"""The Flask side: pages, and what operators do. Few people, no hurry.

An ordinary Flask app, which runs on any WSGI server: it knows nothing of Tornado, and imports nothing from
`handlers`. The database must exist (`app.first_run` creates it, and so does `flask --app wsgi_app upgrade`).
"""

import os

from flask import Flask, request
from flask.cli import NoAppException
from werkzeug.middleware.proxy_fix import ProxyFix

from app.settings import TEMPLATE_OPTIONS, TEMPLATES, Settings, SettingsError
from waterspout.service.sql import Store
from wsgi_app.headers import add_headers
from wsgi_app.resources import add_resources, native_url
from wsgi_app.sessions import init_sessions


def create_app(settings: Settings | None = None) -> Flask:
    """Return the Flask app. Without `settings`: from the environment; raises SettingsError."""
    # Here, not above: the server, which only reads sessions, starts sooner without pages and forms.
    from wsgi_app.pages import add_pages

    settings = settings or read_settings()
    app = Flask(__name__, template_folder=str(TEMPLATES))
    app.jinja_options = TEMPLATE_OPTIONS
    app.jinja_env.globals.update(board_name=settings.board_name, native_url=native_url)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, settings.proxies, settings.proxies, 0)  # type: ignore[method-assign]
    add_resources(app, settings, Store(settings.database_url))
    init_sessions(app, settings)
    add_pages(app)
    app.context_processor(lambda: {"root_path": request.script_root})
    app.after_request(add_headers)
    return app


def read_settings() -> Settings:
    """Read the environment; under the command `flask`, an error is one line without a traceback."""
    try:
        return Settings.from_environment(os.environ)
    except SettingsError as error:
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
            raise NoAppException(str(error)) from error
        raise
