from flask import Flask

from wsgi_app.resources import add_store, current_store


def test_each_app_has_its_own_store():
    first, second = Flask("first"), Flask("second")
    add_store(first, "a store")
    add_store(second, "another")
    with first.app_context():
        assert current_store() == "a store"
    with second.app_context():
        assert current_store() == "another"
