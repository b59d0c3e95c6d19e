import pytest
import tornado.web

from waterspout.native import Cache, Document, DocumentHandler


class PricesHandler(DocumentHandler):
    made = 0

    async def get(self):
        await self.send_document("prices", self.make)

    head = get

    async def make(self):
        type(self).made += 1
        return Document.of_json({"chairs": 12})


class BrokenHandler(DocumentHandler):
    async def get(self):
        await self.send_document("broken", self.make)

    async def make(self):
        raise tornado.web.HTTPError(404)


@pytest.fixture
def app():
    PricesHandler.made = 0
    routes = [("/prices", PricesHandler), ("/broken", BrokenHandler)]
    return tornado.web.Application(routes, documents=Cache(60, 10))


def test_a_document_has_the_hash_of_its_body():
    one, same, other = (Document.of(text, "text/plain") for text in ("a", "a", "b"))
    assert one.etag == same.etag != other.etag
    assert one.content_type == "text/plain; charset=UTF-8"


def test_what_xml_can_not_say_is_replaced():
    assert Document.of_xml("a\0b\x1b\ud800c", "image/svg+xml").body.decode() == "a\ufffdb\ufffd\ufffdc"


@pytest.mark.gen_test
async def test_it_is_made_once_and_sent_to_who_lacks_it(http_client, base_url):
    first = await http_client.fetch(base_url + "/prices")
    assert first.body == b'{"chairs": 12}'
    assert first.headers["Cache-Control"] == "public, max-age=1"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    known = {"If-None-Match": first.headers["Etag"]}
    again = await http_client.fetch(base_url + "/prices", headers=known, raise_error=False)
    assert (again.code, again.body) == (304, b"")
    assert (await http_client.fetch(base_url + "/prices", method="HEAD")).body == b""
    assert PricesHandler.made == 1


@pytest.mark.gen_test
async def test_an_origin_can_be_left_out(http_client, base_url, monkeypatch):
    monkeypatch.setattr(PricesHandler, "allowed_origin", None)
    response = await http_client.fetch(base_url + "/prices")
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.gen_test
async def test_what_making_raises_is_the_answer(http_client, base_url):
    for _ in range(2):
        response = await http_client.fetch(base_url + "/broken", raise_error=False)
        assert (response.code, response.body) == (404, b'{"error": "Not Found"}')
