"""Flask inside middleware, under whatever name it is kept there, and apps that are mounted beside it."""

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.profiler import ProfilerMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from waterspout.wsgi.layers import find_flask, find_mounts

flask, other = Flask("flask"), Flask("other")


def plain(environ, start_response):
    raise AssertionError("it is not called")


class Around:
    """Middleware that keeps the app as `name`."""

    def __init__(self, name, app, **more):
        self.__dict__.update({name: app, **more})

    def __call__(self, environ, start_response):
        raise AssertionError("it is not called")


class Anything:
    """It has every attribute, with a new value each time."""

    def __getattr__(self, name):
        return Anything()

    def __call__(self, environ, start_response):
        raise AssertionError("it is not called")


@pytest.mark.parametrize("name", ["app", "wsgi_app", "application", "_app", "wsgi", "server", "__wrapped__"])
def test_flask_is_found_behind_customary_names(name):
    assert find_flask(Around(name, ProxyFix(flask))) is flask


def test_flask_is_found():
    assert find_flask(flask) is flask
    assert find_flask(ProfilerMiddleware(flask, stream=None)) is flask
    assert find_flask(Around("app", "shop", server=flask)) is flask  # "shop" is only a name


@pytest.mark.parametrize("app", [None, plain, Around("server", "gunicorn"), Anything(), Around("app", plain)])
def test_what_is_none_has_none(app):
    if not isinstance(app, Anything):  # that has a `url_map`, too
        assert find_flask(app) is None
    assert find_mounts(app) == {}


def test_one_that_goes_round_in_a_circle_has_none():
    circle = Around("app", None)
    circle.app = Around("app", circle)
    assert find_flask(circle) is None
    circle.mounts = {"/in": circle}
    assert len(find_mounts(circle)) == 50


def test_mounts_are_found_on_either_side_of_flask_and_in_each_other():
    below = DispatcherMiddleware(other, {"/plain": plain})
    assert find_mounts(ProxyFix(DispatcherMiddleware(flask, {"/api": below, "": plain}))) == {
        "/api": below,
        "/api/plain": plain,
    }
    host = Flask("host")
    host.wsgi_app = ProxyFix(DispatcherMiddleware(host.wsgi_app, {"/api": other}))
    assert find_mounts(host) == {"/api": other}
    assert find_mounts(flask) == {}
