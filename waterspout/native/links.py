"""URLs that a handler hands out, below the root path that its client sees."""

from __future__ import annotations

from typing import Any

from tornado.escape import to_unicode
from tornado.web import RequestHandler


class Links(RequestHandler):
    """The methods of Tornado's handler that make URLs of this server."""

    def reverse_url(self, name: str, *args: Any, **kwargs: Any) -> str:
        """The path of the rule or Flask endpoint of that name, below the root path that the client sees."""
        root_path = getattr(self.request, "root_path", "")
        return f"{root_path}{self.application.reverse_url(name, *args, **kwargs)}"

    def redirect(self, url: str, permanent: bool = False, status: int | None = None) -> None:
        """As Tornado's. A redirect to the handler's own path, with or without its trailing slash, gets the
        root path prepended, as that path lacks it: Tornado's `addslash`, `removeslash` and static files send
        such redirects.
        """
        if root_path := getattr(self.request, "root_path", ""):
            url = to_unicode(url)  # Tornado's takes bytes, too
            path = url.partition("#")[0].partition("?")[0]
            is_ours = path.startswith("/") and path.rstrip("/") == self.request.path.rstrip("/")
            # A link to the root path may look like our own path; those three always redirect permanently.
            if is_ours and (permanent or path.rstrip("/") != root_path):
                url = f"{root_path}{url}"
        super().redirect(url, permanent, status)

    def static_url(self, path: str, include_host: bool | None = None, **kwargs: Any) -> str:
        """As Tornado's, below the root path if the URL is on this server."""
        url = super().static_url(path, include_host, **kwargs)
        root_path = getattr(self.request, "root_path", "")
        here = f"{self.request.protocol}://{self.request.host}"
        base, place = (here, url.removeprefix(here)) if url.startswith(here) else ("", url)
        return f"{base}{root_path}{place}" if place.startswith("/") else url
