"""When a certificate is valid, and what is said of one that is not, or soon will not be."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tornado.test

from tests.wire.test_certificate import EXPIRED, RENEWED
from tests.wire.test_listeners import CERTIFICATE, KEY
from waterspout.serving.validity import Validity, read_validity

TORNADO = (Path(tornado.test.__file__).parent / "test.crt").read_text()
#: "Example Intermediate", of nobody's, until the end of 2029.
INTERMEDIATE = """\
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIBATAKBggqhkjOPQQDAjAxMRAwDgYDVQQKDAdFeGFtcGxl
MR0wGwYDVQQDDBRFeGFtcGxlIEludGVybWVkaWF0ZTAeFw0yNjAxMDEwMDAwMDBa
Fw0yOTEyMzEyMzU5NTlaMDExEDAOBgNVBAoMB0V4YW1wbGUxHTAbBgNVBAMMFEV4
YW1wbGUgSW50ZXJtZWRpYXRlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEH5wo
K+mvFZcytzq4hjCmg8r58aVUSmUCDBuyimn0mZKNPpUCcMHUY6XquiYF3pAiOGJG
kPyxMo70Dv/1MOp/kaMyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU0OAB
hnCrD8NqY6dk2Fu5/D2sHJwwCgYIKoZIzj0EAwIDSAAwRQIgNM4dhPxc6pv4JTLU
BKMQc65NZr/Gr2mmuKiW2ZcEccMCIQDsrbNjMxoTCzEB8bLen4T842/ZOmOqJ/C2
2GPZzk9zvA==
-----END CERTIFICATE-----
"""
BEGINS, ENDS = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pem", "ends"), [(TORNADO, 2030), (CERTIFICATE, 2126), (RENEWED, 2126)], ids=["rsa", "ec", "renewed"]
)
def test_the_first_certificate_of_a_file_is_read(pem, ends, tmp_path):
    """By a private function of Python's: when that goes, this fails."""
    path = tmp_path / "cert.pem"
    path.write_text("a bag attribute: -----\n" + pem)
    validity = read_validity(str(path))
    assert validity.ends.year >= ends, validity
    path.write_text(pem + TORNADO)
    assert read_validity(str(path)) == validity


def test_a_certificate_of_the_chain_that_ends_sooner_counts(tmp_path):
    path = tmp_path / "cert.pem"
    path.write_text(KEY + CERTIFICATE + INTERMEDIATE)
    validity = read_validity(str(path))
    assert f"{validity.ends:%Y-%m-%d}" == "2029-12-31"
    doubt = validity.find_doubt(datetime(2030, 1, 1, tzinfo=UTC))
    assert doubt == "'Example Intermediate' of the certificate's chain expired 2029-12-31"
    path.write_text(EXPIRED + INTERMEDIATE)
    assert read_validity(str(path)).find_doubt(BEGINS) == "the certificate expired 2020-03-31"


def test_what_can_t_be_read_is_none(tmp_path):
    path = tmp_path / "cert.pem"
    assert read_validity(str(path)) is None
    for text in ("", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", CERTIFICATE[:200]):
        path.write_text(text)
        assert read_validity(str(path)) is None


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
