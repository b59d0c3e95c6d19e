import jinja2
import pytest

import handlers
from waterspout.native import Cache, JSONErrors
from waterspout.native.live import Watch


def test_every_route_is_a_handler_of_ours():
    assert all(issubclass(rule.handler, JSONErrors) for rule in handlers.routes)


def test_the_public_routes_are_there():
    assert {rule.path for rule in handlers.routes} == {
        "/healthz",
        "/api/incidents",
        "/api/incidents/<int:number>",
        "/api/stream",
        "/api/ws",
        "/api/poll",
        "/api/readers",
        "/badge.svg",
        "/feed.atom",
    }


@pytest.mark.gen_test
async def test_resources_are_what_the_handlers_ask_for(async_store):
    resources = handlers.build_resources(async_store)
    assert resources["store"] is async_store
    assert isinstance(resources["watch"], Watch)
    assert isinstance(resources["documents"], Cache)


def test_markup_is_escaped(monkeypatch):
    made = []
    monkeypatch.setattr(handlers, "Feed", lambda store, templates: made.append(templates))
    handlers.build_resources(None)
    assert isinstance(made[0], jinja2.Environment)
    assert made[0].autoescape is True
