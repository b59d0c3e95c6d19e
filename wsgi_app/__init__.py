"""The Flask side: pages, and what operators do. Few people, no hurry.

An ordinary Flask app, which runs behind any WSGI server: it knows nothing of Tornado, and imports nothing of
`handlers`. The database must exist (`app.first_run` makes it, `flask --app wsgi_app upgrade` as well).
"""

import os

from flask import Flask
from flask.cli import NoAppException
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from app.settings import TEMPLATE_OPTIONS, TEMPLATES, Settings, SettingsError
from app.store import Store
from wsgi_app.admin import admin
from wsgi_app.attachments import attachments
from wsgi_app.bodies import MAX_CONTENT_LENGTH, limit_body
from wsgi_app.commands import commands
from wsgi_app.errors import add_error_pages
from wsgi_app.guards import admit_operators, refuse_open_air, refuse_other_sites
from wsgi_app.headers import add_headers
from wsgi_app.public import public
from wsgi_app.resources import add_resources
from wsgi_app.sessions import init_sessions
from wsgi_app.sign_in import sign_in


def create_app(settings: Settings | None = None) -> Flask:
    """Return the Flask app. Without `settings`: by the environment; raises SettingsError."""
    settings = settings or read_settings()
    app = Flask(__name__, template_folder=str(TEMPLATES))
    app.jinja_options = TEMPLATE_OPTIONS
    app.jinja_env.globals.update(board_name=settings.board_name)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, settings.proxies, settings.proxies, 0)  # type: ignore[method-assign]
    add_resources(app, settings, Store(settings.database_url))
    init_sessions(app, settings)
    guard(app)
    for blueprint in (public, attachments, sign_in, admin, commands):
        app.register_blueprint(blueprint)
    add_error_pages(app)
    app.after_request(add_headers)
    return app


def read_settings() -> Settings:
    """Read the environment; under the command `flask`, an error is its one line, and no traceback."""
    try:
        return Settings.from_environment(os.environ)
    except SettingsError as error:
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
            raise NoAppException(str(error)) from error
        raise


def guard(app: Flask) -> None:
    """Let each request pass, in this order, what it costs least to refuse it for; Flask-WTF's token last."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_CONTENT_LENGTH
    # A token is good for as long as its session: who writes for an hour shall not lose what they wrote.
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    # Where a post comes from, `refuse_other_sites` tells, who knows the board's public address, too.
    app.config["WTF_CSRF_SSL_STRICT"] = False
    for check in (refuse_other_sites, refuse_open_air, admit_operators, limit_body):
        app.before_request(check)
    CSRFProtect(app)
