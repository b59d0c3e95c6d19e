"""What every page tells the browser to forbid."""

from flask import Response

HEADERS = {
    # Scripts, styles and images from this site's files only; no frames; forms and streams stay here.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # Not "no-referrer": browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def add_headers(response: Response) -> Response:
    """Add those that the view has not set itself. For `after_request`."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
