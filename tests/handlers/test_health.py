import json

import pytest
import tornado.web

from handlers.health import HealthHandler


@pytest.fixture
def app():
    """A stock application, without a store: health needs none."""
    return tornado.web.Application([("/healthz", HealthHandler)])


@pytest.mark.gen_test
async def test_it_is_ok(http_client, base_url):
    response = await http_client.fetch(base_url + "/healthz")
    assert response.code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert json.loads(response.body) == {"status": "ok"}


@pytest.mark.gen_test
async def test_head_is_answered_without_a_body(http_client, base_url):
    response = await http_client.fetch(base_url + "/healthz", method="HEAD")
    assert response.code == 200
    assert response.body == b""
