"""Fixtures and settings for the tests of WebSockets."""

import pytest
from hypothesis import settings

from tests.waterspout.websocket.serving import FORMS

settings.register_profile("websocket", database=None, deadline=None, max_examples=200)
settings.load_profile("websocket")


@pytest.fixture(params=FORMS, ids=lambda form: form.name)
def form(request):
    """Each HTTP server, on each event loop, that hands us connections."""
    return request.param
