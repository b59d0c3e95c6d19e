"""The service: native routes in front of the Flask app."""

import os

import handlers
import waterspout
from app.first_run import prepare_database
from app.greeting import greet
from app.login import Login
from app.settings import Settings
from waterspout.service.sql import AsyncStore


class BoardApplication(waterspout.Application):
    """The whole service. The Flask app, wherever it runs, reads its settings from the environment."""

    def __init__(self, settings: Settings) -> None:
        self.store = AsyncStore(settings.database_url)
        super().__init__(
            native=handlers.routes,
            wsgi="wsgi_app:create_app()",
            login_loader=Login(settings, self.store),
            **handlers.build_resources(self.store, settings.board_name, settings.url),
        )

    async def start(self) -> None:
        # All readers get the same event: its links are below --root-path, whatever one reader's proxy strips.
        self.settings["templates"].globals["root_path"] = self.proxies.root_path
        await super().start()

    async def stop(self, timeout: float | None = None) -> None:
        """Stop as every application does; then, when nothing reads any more, close the store."""
        await super().stop(timeout)
        await self.store.close()


def make_app(settings: Settings | None = None) -> BoardApplication:
    """Return the service, its database prepared, not started; raises SettingsError, DatabaseError."""
    settings = settings or Settings.from_environment(os.environ)
    prepare_database(settings)
    greet(settings)
    return BoardApplication(settings)
