"""A Flask app that nobody serves, and the names of native rules."""

import pytest
from flask import Flask, url_for
from tornado.routing import PathMatches, Rule
from tornado.web import RequestHandler
from werkzeug.routing import BaseConverter, BuildError

import waterspout
from waterspout import testing


class Ticket(BaseConverter):
    regex = "T-[0-9]+"

    def to_url(self, value):
        return f"T-{value}"


class Handler(RequestHandler):
    def get(self, **_arguments):
        """Never called."""


ROUTES = [
    ("/tickets/<ticket:number>", Handler, {}, "ticket"),
    ("/other", Handler),
    (r"/files/(.*)", Handler),
]


@pytest.fixture
def app():
    return Flask("shop", static_folder=None)


def test_a_converter_of_the_app_s_own_is_known(app):
    app.url_map.converters["ticket"] = Ticket
    waterspout.know_native(app, ROUTES)
    with app.test_request_context():
        assert url_for("ticket", number=7) == "/tickets/T-7"


def test_another_one_is_given(app):
    waterspout.know_native(app, ROUTES, ticket=Ticket)
    with app.test_request_context():
        assert url_for("ticket", number=7) == "/tickets/T-7"


def test_one_that_neither_has_is_named(app):
    waterspout.know_native(app, ROUTES)
    with app.test_request_context(), pytest.raises(LookupError, match="'ticket' does not exist"):
        url_for("ticket", number=7)


def test_rules_within_rules_are_known_as_in_a_server(app):
    inner = [("/api/items/<int:number>", Handler, {}, "item"), ("/api/unnamed", Handler)]
    waterspout.know_native(
        app, [("/api/.*", inner), Rule(PathMatches("/v2/.*"), [("/v2/a", Handler, {}, "a")])]
    )
    with app.test_request_context():
        assert (url_for("item", number=7), url_for("a")) == ("/api/items/7", "/v2/a")


def test_what_is_no_name_of_either_side_is_flask_s_error(app):
    waterspout.know_native(app, ROUTES, ticket=Ticket)
    with app.test_request_context(), pytest.raises(BuildError):
        url_for("nobody")


def test_tests_have_it_where_they_have_the_rest():
    assert testing.know_native is waterspout.know_native
