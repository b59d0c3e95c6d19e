"""Cookie in Vary, where a native handler has declined depending on the cookies."""

import pytest

from tests.waterspout.wsgi.transcript import Transcript
from waterspout.exceptions import InvalidResponse
from waterspout.wsgi.worker.response import Response
from waterspout.wsgi.worker.varying import vary_with_cookies


@pytest.fixture
def response():
    return Response("GET", "id-1", Transcript().send)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ([], ["Cookie"]),
        ([("Vary", "Accept")], ["Accept", "Cookie"]),
        ([("vary", "Accept, cookie")], ["Accept, cookie"]),
        ([("Vary", "*")], ["*"]),
    ],
)
def test_what_the_app_says_is_completed(said, names):
    told = []
    vary_with_cookies(lambda status, headers: told.extend(headers))("200 OK", said)
    assert [value for name, value in told if name.lower() == "vary"] == names


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ((("X", "1"),), "headers must be a list, not tuple"),
        (iter([("X", "1")]), "headers must be a list"),
        (None, "headers must be a list, not NoneType"),
        ([("X",)], "a header"),
        ([(b"X", b"1")], "must be str"),
        ([("Vary", 7)], "must be str"),
    ],
    ids=["a tuple", "an iterator", "nothing", "half a header", "bytes", "a number"],
)
def test_what_can_t_be_is_refused_in_the_same_words_as_ever(response, headers, text):
    with pytest.raises(InvalidResponse) as as_ever:
        Response("GET", "id-1", Transcript().send).start_response("200 OK", headers)
    with pytest.raises(InvalidResponse) as varied:
        vary_with_cookies(response.start_response)("200 OK", headers)
    assert text in str(as_ever.value)
    assert str(varied.value) == str(as_ever.value)
