from flask import Flask

from wsgi_app.resources import add_resources, current_settings, current_store


def test_each_app_has_its_own():
    first, second = Flask("first"), Flask("second")
    add_resources(first, "its settings", "its store")
    add_resources(second, "others", "another")
    with first.app_context():
        assert (current_settings(), current_store()) == ("its settings", "its store")
    with second.app_context():
        assert (current_settings(), current_store()) == ("others", "another")
