"""A WSGI app made of many small ones: the first part of the path says which."""

from tests.apps.witness import parameter

TEXT = [("Content-Type", "text/plain")]


def canary(environ, start_response):
    """Echo an id and the whole body: a lane or a connection with left-overs on it can't answer this right."""
    body = environ["wsgi.input"].read()
    reply = b"canary " + parameter(environ, "id").encode() + b" " + body
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(reply)))])
    return [reply]


def missing(environ, start_response):
    start_response("404 Not Found", [*TEXT, ("Content-Length", "7")])
    return [b"missing"]


class Table:
    """Dispatch on the first part of the path; nothing is wrapped around what the small app returns."""

    def __init__(self):
        self.views = {"canary": canary}

    def __call__(self, environ, start_response):
        name = environ["PATH_INFO"].split("/")[1]
        return self.views.get(name, missing)(environ, start_response)

    def view(self, app):
        """Register a WSGI app under its own name, with dashes."""
        self.views[app.__name__.replace("_", "-")] = app
        return app

    def mount(self, name, app):
        """Register an app that sees the whole path, its own first part too."""
        self.views[name] = app
