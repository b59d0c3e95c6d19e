"""Regular expressions in front of a WSGI app, where Tornado's own routers decide."""

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from waterspout.routing.plain import PlainPathMatches

RULE = PlainPathMatches(r"/items/(.*)$")


def request_of(path):
    start_line, headers = RequestStartLine("GET", path, "HTTP/1.1"), HTTPHeaders({"Host": "h"})
    return HTTPServerRequest(start_line=start_line, headers=headers)


@pytest.mark.parametrize("path", ["/items/a", "//items/a", "///items/a"])
def test_it_sees_the_path_that_the_app_would(path):
    request = request_of(path)
    assert RULE.match(request)["path_args"] == [b"a"]
    assert request.path == path


@pytest.mark.parametrize("path", ["/%69tems/a", "/items%2Fa", "/items", "/a//items/a"])
def test_what_the_app_would_read_otherwise_is_none_of_its_own(path):
    assert RULE.match(request_of(path)) is None
