"""What `create_app` opens for the views."""

from flask import Flask, current_app, url_for
from werkzeug.routing import BuildError

from app.settings import Settings
from waterspout.service.sql import Store


def add_resources(app: Flask, settings: Settings, store: Store) -> None:
    app.extensions["settings"] = settings
    app.extensions["store"] = store


def current_settings() -> Settings:
    """Return the settings of the app that serves the current request."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def current_store() -> Store:
    """Return the store of the app that serves the current request."""
    store: Store = current_app.extensions["store"]
    return store


def native_url(name: str) -> str | None:
    """Return the URL of the native rule of this name; None: no native side (`flask run`, a test)."""
    try:
        return url_for(name)
    except BuildError:
        return None
