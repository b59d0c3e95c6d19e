"""When a certificate is valid, and what is said of one that is not, or soon will not be."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tornado.test

from tests.wire.test_certificate import RENEWED
from tests.wire.test_listeners import CERTIFICATE
from waterspout.validity import Validity, read_validity

TORNADO = (Path(tornado.test.__file__).parent / "test.crt").read_text()
BEGINS, ENDS = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)


def ask_python(pem, tmp_path):
    """What Python's own tests read a certificate with; it is in no document, and may be gone some day."""
    decode = pytest.importorskip("_ssl")._test_decode_cert
    (tmp_path / "pem").write_text(pem)
    told = decode(str(tmp_path / "pem"))
    return [
        datetime.fromtimestamp(ssl.cert_time_to_seconds(told[name]), UTC)
        for name in ("notBefore", "notAfter")
    ]


@pytest.mark.parametrize("pem", [TORNADO, CERTIFICATE, RENEWED], ids=["rsa", "ec", "beyond 2050"])
def test_it_is_what_python_reads(pem, tmp_path):
    validity = read_validity(pem.encode())
    assert list(validity) == ask_python(pem, tmp_path)
    text = "a bag attribute: -----\n" + pem.replace("\n", "\r\n")
    assert read_validity(text.encode() + CERTIFICATE.encode()) == validity


def test_what_can_t_be_read_is_none():
    assert read_validity(b"") is None
    assert read_validity(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") is None
    der = ssl.PEM_cert_to_DER_cert(CERTIFICATE)
    for end in range(120):
        assert read_validity(ssl.DER_cert_to_PEM_cert(der[:end]).encode()) is None
    for place in range(len(der)):
        for byte in (0, 0x30, 0x84, 0xFF):
            read_validity(ssl.DER_cert_to_PEM_cert(der[:place] + bytes([byte]) + der[place + 1 :]).encode())


@pytest.mark.parametrize(
    ("now", "doubt"),
    [
        (BEGINS - timedelta(seconds=1), "the certificate is not valid before 2026-09-01"),
        (BEGINS, ""),
        (ENDS - timedelta(days=15), ""),
        (ENDS - timedelta(days=13), "the certificate expires 2026-11-30"),
        (ENDS + timedelta(seconds=1), "the certificate expired 2026-11-30"),
    ],
)
def test_a_doubt_names_the_day(now, doubt):
    assert Validity(BEGINS, ENDS).find_doubt(now) == doubt
