"""The service: native routes in front of the Flask app."""

import os

import handlers
import waterspout
from app.first_run import prepare_database
from app.settings import Settings
from app.store import AsyncStore


def make_app(settings: Settings | None = None) -> waterspout.Application:
    """Return the whole service. The database is made ready first; nothing else starts here.

    The Flask app, wherever it runs, reads its settings from the environment that this process passes on.

    Raises:
        SettingsError: the environment holds something unusable (and no `settings` were given).
        DatabaseError: the database can't be used.
    """
    settings = settings or Settings.from_environment(os.environ)
    prepare_database(settings.database_url)
    store = AsyncStore(settings.database_url)
    return waterspout.Application(
        native=handlers.routes, wsgi="wsgi_app:create_app()", **handlers.build_resources(store)
    )
