"""An operator of a served board, by plain HTTP: signs in with what the server has printed."""

import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

TIMEOUT = 20.0


def read_password(folder: Path) -> tuple[str, str]:
    """Return name and password, as the board in this folder printed them at its start."""
    said = (folder / "server.log").read_text()
    return re.search(r"Name +(\S+)\n", said)[1], re.search(r"Password +(\S+)\n", said)[1]


class Operator:
    """Signed in from the beginning."""

    def __init__(self, address: str, name: str, password: str) -> None:
        self.address = address
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        assert self.post("/login", name=name, password=password) == f"{address}/admin/"
        self.token = self.find_token("/admin/")

    token = ""

    def find_token(self, path: str) -> str:
        with self.opener.open(self.address + path, timeout=TIMEOUT) as response:
            return re.search(r'name="csrf_token" value="([^"]+)"', response.read().decode())[1]

    def post(self, path: str = "/admin/", **fields: str) -> str:
        """Post a form as a browser does; return the address of the page that it ends on."""
        token = self.token or self.find_token(path)
        body = urllib.parse.urlencode({**fields, "csrf_token": token}).encode()
        with self.opener.open(self.address + path, data=body, timeout=TIMEOUT) as response:
            return response.url
