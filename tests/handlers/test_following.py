import pytest

from waterspout.limits import HEARTBEAT, POLL_PATIENCE


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/api/stream", "/api/poll?since=0"])
async def test_there_are_only_so_many_places(app, http_client, base_url, path):
    app.settings["watch"]._limit = 0
    response = await http_client.fetch(base_url + path, raise_error=False)
    assert response.code == 503
    assert response.headers["Retry-After"] == "10"
    assert response.body == b'{"error": "Service Unavailable"}'


def test_signs_of_life_come_before_a_proxy_s_patience_ends():
    assert HEARTBEAT < POLL_PATIENCE < 30
