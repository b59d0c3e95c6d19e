"""The certificate that the server shows, and its key. Leaf."""

from __future__ import annotations

import logging
import os
import ssl
from datetime import UTC, datetime

from waterspout.exceptions import ConfigurationError
from waterspout.serving.validity import Validity, read_validity

logger = logging.getLogger("waterspout.certificate")


class Certificate:
    """PEM files: `certfile`, the certificate with its chain, and `keyfile`, its key; None: in the same file.

    They can be loaded again after renewal, even if the current directory has changed by then.
    """

    def __init__(self, certfile: str, keyfile: str | None = None) -> None:
        self._certfile = certfile
        self._keyfile = keyfile
        self._validity: Validity | None = None  # of what was loaded last
        try:
            self._folder = os.getcwd()
        except OSError:  # it has been removed: only absolute paths work
            self._folder = ""

    def load(self) -> ssl.SSLContext:
        """Load what is in the files now, for HTTP/1.1 and TLS 1.2 or newer, and warn if clients won't accept
        it, now or soon. Raises ConfigurationError.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        keyfile = self._keyfile and self._locate(self._keyfile)
        try:
            # Without a callback OpenSSL would ask the terminal for the password.
            context.load_cert_chain(self._locate(self._certfile), keyfile, password=self._refuse_password)
        except OSError as error:  # SSLError is one
            raise ConfigurationError(self._find_fault(error)) from None
        self._validity = read_validity(self._locate(self._certfile))
        self.doubt()
        return context

    def doubt(self) -> None:
        """Warn if clients won't accept what was loaded, now or soon: OpenSSL itself accepts any date.

        The warning says so when the file has been renewed, but not reloaded.
        """
        shown = self._validity
        if shown is None or not (doubt := shown.find_doubt(datetime.now(UTC))):
            return
        there = read_validity(self._locate(self._certfile))
        is_renewed = there is not None and there.usable_until > shown.usable_until
        hint = "; the file holds a newer one: SIGHUP loads it" if is_renewed else ""
        logger.warning("%s: %s%s", self._certfile, doubt, hint)

    def _locate(self, path: str) -> str:
        return os.path.join(self._folder, path)

    def _refuse_password(self) -> str:
        path = self._keyfile or self._certfile
        raise ConfigurationError(
            f"the key in {path} is encrypted: decrypt it first (openssl pkey -in {path} -out PLAIN)"
        )

    def _find_fault(self, error: OSError) -> str:
        """Describe an error of OpenSSL, which names neither the file nor what is missing in it."""
        certfile, keyfile = self._certfile, self._keyfile
        key_option = "--keyfile" if keyfile else "--certfile"
        wanted = (
            ("--certfile", certfile, b"CERTIFICATE-----", "certificate"),
            (key_option, keyfile or certfile, b"PRIVATE KEY-----", "private key"),
        )
        for option, path, mark, what in wanted:
            try:
                with open(self._locate(path), "rb") as file:
                    found = mark in file.read()
            except OSError as unreadable:
                return f"{option} {path} can't be read: {unreadable.strerror}"
            if not found:
                hint = "; give --keyfile" if what == "private key" and not keyfile else ""
                return f"{option} {path} contains no {what} in PEM format{hint}"
        reason = str(getattr(error, "reason", None) or error)
        if "MISMATCH" in reason or reason == "NO_CERTIFICATE_ASSIGNED":  # the latter: not even of its type
            return f"the key in {keyfile or certfile} does not match the certificate in {certfile}"
        return f"--certfile {certfile} can't be used: {reason.replace('_', ' ').lower()}"
