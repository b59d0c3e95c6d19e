"""What `create_app` opens for the views."""

from flask import Flask, current_app

from app.store import Store


def add_store(app: Flask, store: Store) -> None:
    app.extensions["store"] = store


def current_store() -> Store:
    """Return the store of the app that the request in hand belongs to."""
    store: Store = current_app.extensions["store"]
    return store
