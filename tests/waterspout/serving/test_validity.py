"""When a certificate is valid, and what is said about one that is not, or soon will not be."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tornado.test

from tests.wire.test_certificate import EXPIRED, RENEWED
from tests.wire.test_listeners import CERTIFICATE, KEY
from waterspout.serving.validity import Validity, read_validity

TORNADO = (Path(tornado.test.__file__).parent / "test.crt").read_text()
#: Nobody's chain: the server's own, from 2027 on; its issuer's, "Example Intermediate", to the end of 2029;
#: the root's above that, signed by an older root and expired in 2021, which clients get round.
OWN = """\
-----BEGIN CERTIFICATE-----
MIIBMzCB2qADAgECAgEBMAoGCCqGSM49BAMCMB8xHTAbBgNVBAMMFEV4YW1wbGUg
SW50ZXJtZWRpYXRlMCAXDTI3MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjAU
MRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASB
iqrN6FubUXMQSHaAt3pwaHojtFPdQqQangeyQOkPFV4hIxQcBySalpaHmUPBWX4/
UNCyUPsfYwTspaau9zSeoxAwDjAMBgNVHRMBAf8EAjAAMAoGCCqGSM49BAMCA0gA
MEUCIQCVnXmlPJeHp20CWqvHMpxE101WoyQ090QGQ4I2frya7QIgLF9oZ16dybaj
4wnTPPTVwmnP8g11ahgCPpSSRs6wErk=
-----END CERTIFICATE-----
"""
INTERMEDIATE = """\
-----BEGIN CERTIFICATE-----
MIIBNzCB3qADAgECAgEBMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDEV4YW1wbGUg
Um9vdDAeFw0yNjAxMDEwMDAwMDBaFw0yOTEyMzEyMzU5NTlaMB8xHTAbBgNVBAMM
FEV4YW1wbGUgSW50ZXJtZWRpYXRlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
VNb7UkDEarQI3MzAce0jIzWTRUXfNmyAYSAHfjmBYqYEPyKpS0BInszhlOORx5g8
5TbGloTsUSeBZen5TBOwqqMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD
AgNIADBFAiAxxcr4vLx6qOS3N4pzGH507v5Qt9ag/CS2qoeebdSQNwIhANqzAeeO
Wo72XoNrXesroFxU4WeV5MsnQpmHp64vudxp
-----END CERTIFICATE-----
"""
CROSS_SIGNED = """\
-----BEGIN CERTIFICATE-----
MIIBKzCB0qADAgECAgECMAoGCCqGSM49BAMCMBMxETAPBgNVBAMMCE9sZCBSb290
MB4XDTEwMDEwMTAwMDAwMFoXDTIxMDkzMDAwMDAwMFowFzEVMBMGA1UEAwwMRXhh
bXBsZSBSb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDAy5jNPIOfGyoAmw
JWVWTFHiWvd0sxsZplT54iqcDfeO8EVR4u2xKQPTqlMtQCikD7+ytFg2rOoToU2W
K0myRaMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAU7f9f
Wg23jyAWYx7MN4tW9Ws+gpWdrafb16nP0DtgcwIhAPZCNGMlf1Y3QWZHhfc+siVH
ZFv8H2qfCRxMsEtluvBx
-----END CERTIFICATE-----
"""
DAMAGED = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
ISSUER = "'Example Intermediate' in the certificate's chain"
BEGINS, ENDS = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pem", "ends"), [(TORNADO, 2030), (CERTIFICATE, 2126), (RENEWED, 2126)], ids=["rsa", "ec", "renewed"]
)
def test_the_first_certificate_of_a_file_is_read(pem, ends, tmp_path):
    """It is read by a private function of Python's: if that goes, this fails."""
    path = tmp_path / "cert.pem"
    path.write_text("a bag attribute: -----\n" + pem)
    validity = read_validity(str(path))
    assert validity.ends.year >= ends, validity
    path.write_text(pem + TORNADO)
    assert read_validity(str(path)) == validity


@pytest.mark.parametrize(
    ("pem", "year", "doubt"),
    [
        (OWN + INTERMEDIATE + CROSS_SIGNED, 2028, ""),
        (OWN + INTERMEDIATE + CROSS_SIGNED, 2030, f"{ISSUER} expired 2029-12-31"),
        (OWN + CROSS_SIGNED + INTERMEDIATE, 2030, f"{ISSUER} expired 2029-12-31"),
        (KEY + OWN, 2030, ""),
        (OWN + INTERMEDIATE, 2026, "the certificate is not valid before 2027-01-01"),
        (OWN + INTERMEDIATE, 2130, "the certificate expired 2126-01-01"),
        (EXPIRED + INTERMEDIATE, 2026, "the certificate expired 2020-03-31"),
        (OWN + DAMAGED, 2130, "the certificate expired 2126-01-01"),
    ],
)
def test_its_issuer_s_counts_where_nothing_is_wrong_with_its_own(pem, year, doubt, tmp_path):
    path = tmp_path / "cert.pem"
    path.write_text(pem)
    assert read_validity(str(path)).find_doubt(datetime(year, 6, 1, tzinfo=UTC)) == doubt


def test_it_is_usable_as_long_as_both_are(tmp_path):
    path = tmp_path / "cert.pem"
    path.write_text(OWN + INTERMEDIATE)
    assert f"{read_validity(str(path)).usable_until:%Y-%m-%d}" == "2029-12-31"
    path.write_text(OWN)
    assert f"{read_validity(str(path)).usable_until:%Y-%m-%d}" == "2126-01-01"


def test_what_can_t_be_read_is_none(tmp_path):
    path = tmp_path / "cert.pem"
    assert read_validity(str(path)) is None
    for text in ("", DAMAGED, CERTIFICATE[:200]):
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
