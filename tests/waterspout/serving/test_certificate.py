"""Certificates that can be used, or not."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tornado.test

from tests.wire.test_listeners import CERTIFICATE as EC_CERTIFICATE
from waterspout.exceptions import ConfigurationError
from waterspout.serving.certificate import Certificate
from waterspout.serving.validity import Validity

TORNADO = Path(tornado.test.__file__).parent
CERTIFICATE, KEY = TORNADO / "test.crt", TORNADO / "test.key"
#: Made for this file: it belongs to no certificate.
OTHER_KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIBkVgbKmwHIkVhhqTJKQls3ar4GEK0e0pH0XZGtQW3lhoAoGCCqGSM49
AwEHoUQDQgAEQ0lptpCtCAnZ+zy+6oWPA4w39oP0IqpmtzYNZdp+rs1H0E70nuAB
atIrW1ydGkSwQcIhmU4vxnSTbQBq/aeWWA==
-----END EC PRIVATE KEY-----
"""
#: The same, encrypted.
ENCRYPTED_KEY = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhk/i1hGucQiQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEECxOSs+WI9wMeWqIWpMwUvIEgZAN
1HxYaJQJH0Jjd+xhodrA/XUWcdEfQHyynTz5ithb7C/mjkXwhBeniQLgU9hKERWY
GcV1Vg0e2Hm/of8XVvjrp0Am5nunXZw5Ae8iJq/EJh3dhSaWUoEyfYpDlimH6NAM
QrJC/NGzWyGqof1iJWujkkaf1POWzVNYCcL/vVv+Kn1trIrRPCBIXpVC+4Mw5/8=
-----END ENCRYPTED PRIVATE KEY-----
"""


def test_old_tls_and_renegotiation_are_not_spoken():
    context = Certificate(str(CERTIFICATE), str(KEY)).load()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.verify_mode == ssl.CERT_NONE


def test_a_certificate_and_its_key_may_be_one_file(tmp_path):
    (tmp_path / "both").write_bytes(KEY.read_bytes() + CERTIFICATE.read_bytes())
    Certificate(str(tmp_path / "both")).load()


@pytest.fixture
def files(tmp_path):
    texts = {"other": OTHER_KEY, "encrypted": ENCRYPTED_KEY, "text": "no PEM", "empty": ""}
    texts["broken"] = OTHER_KEY.replace("MHcCAQEE", "MHcCAQEF")
    texts["ec_cert"] = EC_CERTIFICATE
    texts["both"] = ENCRYPTED_KEY + CERTIFICATE.read_text()
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in texts} | {
        "cert": str(CERTIFICATE),
        "key": str(KEY),
        "none": str(tmp_path / "none"),
        "folder": str(tmp_path),
    }


@pytest.mark.parametrize(
    ("certfile", "keyfile", "text"),
    [
        ("none", None, "--certfile {none} can't be read: No such file or directory"),
        ("folder", None, "--certfile {folder} can't be read: Is a directory"),
        ("cert", "none", "--keyfile {none} can't be read: No such file or directory"),
        ("cert", None, "--certfile {cert} contains no private key in PEM format; give --keyfile"),
        ("key", None, "--certfile {key} contains no certificate in PEM format"),
        ("text", "key", "--certfile {text} contains no certificate in PEM format"),
        ("empty", "key", "--certfile {empty} contains no certificate in PEM format"),
        ("cert", "text", "--keyfile {text} contains no private key in PEM format"),
        ("cert", "cert", "--keyfile {cert} contains no private key in PEM format"),
        ("cert", "other", "the key in {other} does not match the certificate in {cert}"),
        ("ec_cert", "other", "the key in {other} does not match the certificate in {ec_cert}"),
        ("cert", "encrypted", "the key in {encrypted} is encrypted: decrypt it first (openssl pkey -in "),
        ("both", None, "the key in {both} is encrypted"),
        ("cert", "broken", "--certfile {cert} can't be used"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(files, certfile, keyfile, text):
    with pytest.raises(ConfigurationError) as caught:
        Certificate(files[certfile], keyfile and files[keyfile]).load()
    assert text.format(**files) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_current_directory_that_is_gone_is_no_matter_to_absolute_paths(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    Certificate(str(CERTIFICATE), str(KEY)).load()


def test_the_files_are_found_again_wherever_the_process_has_gone(tmp_path, monkeypatch):
    (tmp_path / "both").write_bytes(KEY.read_bytes() + CERTIFICATE.read_bytes())
    monkeypatch.chdir(tmp_path)
    certificate = Certificate("both")
    monkeypatch.chdir("/")
    certificate.load()
    (tmp_path / "both").write_text("nothing yet")
    with pytest.raises(ConfigurationError, match=r"^--certfile both contains no certificate in PEM format$"):
        certificate.load()


def test_a_certificate_that_soon_expires_is_said(caplog, monkeypatch):
    ends = datetime.now(UTC) + timedelta(days=3)
    for days in (0, 30):  # the second is fine
        validity = Validity(datetime(2020, 1, 1, tzinfo=UTC), ends + timedelta(days=days))
        monkeypatch.setattr(
            "waterspout.serving.certificate.read_validity", lambda path, validity=validity: validity
        )
        Certificate(str(CERTIFICATE), str(KEY)).load()
        assert caplog.messages == [f"{CERTIFICATE}: the certificate expires {ends:%Y-%m-%d}"]
