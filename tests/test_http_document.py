"""The handler of docs/http.md that accepts compressed bodies is run as it stands there."""

import gzip
import os
import re
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from waterspout import Application
from waterspout.testing import serving

DOCUMENT = Path(__file__).parent.parent / "docs" / "http.md"
LIMIT = 10 * 1024 * 1024
JSON = "application/json"


@pytest.fixture(scope="module")
def url():
    code = re.search(r"```python\n(import json\n.*?)```", DOCUMENT.read_text(), flags=re.S)[1]
    names = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    with serving(Application([("/", names["ReportHandler"])])) as base:
        yield f"{base}/"


def post(url, body, encoding="gzip", content_type=JSON):
    headers = {"Content-Encoding": encoding, "Content-Type": content_type}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as reply:
            return reply.read()
    except HTTPError as error:
        error.close()
        return error.code


def test_it_reads_bodies_that_are_compressed_and_others(url):
    assert post(url, gzip.compress(b'"abc"')) == b'{"length": 3}'
    assert post(url, b'"abc"', "identity") == b'{"length": 3}'
    largest = b'"' + b"x" * (LIMIT - 2) + b'"'
    assert post(url, gzip.compress(largest)) == b'{"length": %d}' % (LIMIT - 2)


def test_it_refuses_what_would_be_too_large(url):
    assert post(url, gzip.compress(b"x" * (LIMIT + 1))) == 413
    assert post(url, gzip.compress(os.urandom(LIMIT // 2) + b"x" * LIMIT)) == 413


def test_it_refuses_what_is_broken(url):
    assert post(url, b"nonsense") == 400
    assert post(url, gzip.compress(b'"abc"')[:-4]) == 400


def test_a_compressed_form_is_refused(url):
    assert post(url, gzip.compress(b"a=b"), content_type="application/x-www-form-urlencoded") == 400
