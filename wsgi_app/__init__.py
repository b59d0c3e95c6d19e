"""The Flask side: pages and the form that posts to them. Few people, no hurry.

An ordinary Flask app, which runs behind any WSGI server: it knows nothing of Tornado, and imports nothing of
`handlers`. The database must exist (`app.first_run` makes it).
"""

import os

from flask import Flask
from werkzeug.exceptions import HTTPException

from app.settings import TEMPLATE_OPTIONS, TEMPLATES, Settings
from app.store import TEXT_LENGTH, TITLE_LENGTH, Store
from wsgi_app.admin import admin
from wsgi_app.errors import show_error
from wsgi_app.headers import add_headers
from wsgi_app.public import public
from wsgi_app.resources import add_store

# The longest title and text twice over, where every character is four bytes, each sent as three (%F0).
MAX_CONTENT_LENGTH = 64 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """Return the Flask app.

    Raises:
        SettingsError: the environment holds something unusable (and no `settings` were given).
    """
    settings = settings or Settings.from_environment(os.environ)
    app = Flask(__name__, template_folder=str(TEMPLATES))
    app.jinja_options = TEMPLATE_OPTIONS
    app.config["MAX_CONTENT_LENGTH"] = MAX_CONTENT_LENGTH
    app.jinja_env.globals.update(
        board_name=settings.board_name, text_length=TEXT_LENGTH, title_length=TITLE_LENGTH
    )
    add_store(app, Store(settings.database_url))
    app.register_blueprint(public)
    app.register_blueprint(admin)
    app.register_error_handler(HTTPException, show_error)
    app.after_request(add_headers)
    return app
