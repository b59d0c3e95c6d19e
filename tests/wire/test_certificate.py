"""A renewed certificate: shown after SIGHUP, while connected clients stay connected."""

import signal
import socket
import ssl
import time

import pytest

from tests.wire.test_listeners import CERTIFICATE, KEY, LOOPS, SERVE, SERVERS, certificate, dial

__all__ = ["certificate"]
#: For localhost and 127.0.0.1, until 2126; used in this file alone.
RENEWED_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgA+IGN14Gnrnmjvbf
omNIt4Op4R3Y94jyA/LnkC83yMWhRANCAASyyY/0N5t4xBUbWf4L32rW00XzG8tG
OAwvkcHrkQxt1g9Aujp4npUz3K2olPcjl8nHTBWFMmbkODHHbhvtyK5u
-----END PRIVATE KEY-----
"""
RENEWED = """\
-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUK/lRo9WfC2M1LAVMr0AsZJ7uHI8wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNjE5MDcyMVoYDzIxMjYxMTAy
MTkwNzIxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASyyY/0N5t4xBUbWf4L32rW00XzG8tGOAwvkcHrkQxt1g9Aujp4npUz
3K2olPcjl8nHTBWFMmbkODHHbhvtyK5uo28wbTAdBgNVHQ4EFgQUndJq9hqNBioZ
c9bL4tkt6zx56PEwHwYDVR0jBBgwFoAUndJq9hqNBioZc9bL4tkt6zx56PEwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhAPczIW5dy9nHXAE6c8Dc1zzwMFkHC50CnNmmJNt/wKcEAiA/
fwC3qvVCzYo5bNCfBvMtrC362i8T1gKg6zPr+1Gjew==
-----END CERTIFICATE-----
"""
#: For the same key as in `tests.wire.test_listeners`; valid in the first three months of 2020.
EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBDzCBtgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwHhcN
MjAwMTAxMDAwMDAwWhcNMjAwMzMxMjM1OTU5WjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARtIr+GG1L+IuHf+S5zmXKoabPt
g4p9SRD3zthWNP5AkZQwZsZ48IW5bjwTY4EhAFdIPlud6DtCUaxzi252XSDhMAoG
CCqGSM49BAMCA0gAMEUCIGFM2TeTT2Zb0UlbpFBEGnTXin+b1KC9OUZ0zd7zRb5h
AiEAu4tpwVaZzkH+s+MVjF+RzxMzTsH0XmiKR0V/GB7flN4=
-----END CERTIFICATE-----
"""


def shown(server):
    """The certificate that a new client sees."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(server.address) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as wrapped,
    ):
        return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", SERVERS)
def test_sighup_shows_a_renewed_certificate(start_server, certificate, tmp_path, kind, loop):
    words = ("--host", "127.0.0.1", "--port", "0", "--server", kind, "--loop", loop)
    server = start_server(*SERVE, *certificate, listen=words)
    with dial(server) as before:
        assert before.ask("GET", "/native/ping").text == "pong"
        (tmp_path / "cert.pem").write_text(RENEWED)
        (tmp_path / "key.pem").write_text(RENEWED_KEY)
        assert shown(server) == CERTIFICATE
        server.signal(signal.SIGHUP)
        assert server.log_lines("SIGHUP: the certificate has been reloaded")
        assert shown(server) == RENEWED
        assert before.ask("GET", "/native/ping").text == "pong"
    assert server.log_lines("reload: the new WSGI processes have taken over")
    server.stop()


def test_a_renewed_certificate_that_can_t_be_used_changes_nothing(start_server, certificate, tmp_path):
    server = start_server("--native", "tests.apps.natives:routes", *certificate)
    (tmp_path / "cert.pem").write_text(RENEWED)  # its key has not arrived yet
    server.signal(signal.SIGHUP)
    (line,) = server.log_lines("SIGHUP: the old certificate stays")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    assert line.endswith(f"the key in {key} does not match the certificate in {cert}")
    with dial(server) as connection:
        assert connection.ask("GET", "/native/ping").text == "pong"
    (tmp_path / "cert.pem").write_text(CERTIFICATE)
    (tmp_path / "key.pem").write_text(KEY)
    server.signal(signal.SIGHUP)
    assert server.log_lines("SIGHUP: the certificate has been reloaded")
    assert shown(server) == CERTIFICATE
    server.stop()


def test_a_certificate_that_has_expired_is_said_when_it_is_read(start_server, certificate, tmp_path):
    (tmp_path / "cert.pem").write_text(EXPIRED)
    server = start_server("--native", "tests.apps.natives:routes", *certificate)
    said = f"WARNING waterspout.certificate {tmp_path / 'cert.pem'}: the certificate expired 2020-03-31"
    (line,) = server.log_lines("expired")
    assert line.endswith(said)
    assert shown(server) == EXPIRED
    server.signal(signal.SIGHUP)
    assert len(server.log_lines("expired", enough=2)) == 2
    (tmp_path / "cert.pem").write_text(CERTIFICATE)
    server.signal(signal.SIGHUP)
    assert len(server.log_lines("SIGHUP: the certificate has been reloaded", enough=2)) == 2
    assert len(server.log_lines("expired", 0)) == 2
    server.stop()


def test_a_certificate_that_expires_while_it_is_shown_is_said_each_day(start_server, certificate, tmp_path):
    cert = tmp_path / "cert.pem"
    cert.write_text(EXPIRED)
    server = start_server("--native", "tests.apps.impatient:routes", *certificate)
    lines = server.log_lines("the certificate expired 2020-03-31", enough=3)
    assert {line.partition(" WARNING ")[2] for line in lines} == {
        f"waterspout.certificate {cert}: the certificate expired 2020-03-31"
    }
    cert.write_text(CERTIFICATE)  # it is renewed, but no signal was sent
    (line, *_) = server.log_lines("SIGHUP loads it")
    assert line.endswith(
        f"{cert}: the certificate expired 2020-03-31; the file holds a newer one: SIGHUP loads it"
    )
    server.signal(signal.SIGHUP)
    assert server.log_lines("SIGHUP: the certificate has been reloaded")
    said = len(server.log_lines("2020-03-31"))
    with dial(server) as connection:
        for _ in range(3):
            assert connection.ask("GET", "/native/ping").text == "pong"
            time.sleep(0.3)  # as long as it takes to check again
    assert len(server.log_lines("2020-03-31")) == said
    server.stop()
