"""What can go wrong, and whose fault it is. Pure: imports nothing of ours.

WaterspoutError
├── ConfigurationError     the operator: an invalid option or argument (exit code 2)
│   ├── TargetNotFound     the operator: MODULE:NAME does not resolve (exit code 2)
│   └── AccessUndeclared   the application: a handler does not declare who may use it
├── TargetRaised           the app: its module raised while it was imported (exit code 3)
├── NotServing             the caller: publish() or subscribe() with no server running here
├── PoolError              the caller: a pool used in another process or on another event loop
├── RequestRefused         the client: a request that no app may see; carries the status
│   └── NotHTTP            the client: what it sent does not begin like a request
├── Decline                the handler: the WSGI app is to answer this request
├── ClientDisconnected     the client: gone before its request's body was complete
├── Forked                 the app: a process that a view forked reads or writes in its parent's place
├── InvalidResponse        the app: a status, header or body that PEP 3333 does not allow
└── FrameError             us: bytes on a lane that are not a frame

Other subclasses of WaterspoutError are defined where they are raised: ProtocolError (`waterspout.websocket`),
TooManyFollowers (`waterspout.native.live`), DatabaseError (`waterspout.service.sql`).
"""

from __future__ import annotations


class WaterspoutError(Exception):
    """Base of every error that Waterspout raises on purpose. `exit_code`: that of a command that it ends."""

    exit_code = 1


class ConfigurationError(WaterspoutError, ValueError):
    """An invalid option or argument; the text says what to do instead."""

    exit_code = 2


class TargetNotFound(ConfigurationError):
    """`MODULE:NAME` does not resolve: no such module, no such name, or not what it should be."""


class AccessUndeclared(ConfigurationError):
    """The application has a login, and a native handler is neither `authenticated` nor `public`."""


class TargetRaised(WaterspoutError):
    """The module, or the factory in it, raised. The text holds the exception and its last frame."""

    exit_code = 3


class NotServing(WaterspoutError, RuntimeError):
    """`publish()` or `subscribe()` where no Waterspout server runs."""


class PoolError(WaterspoutError, RuntimeError):
    """A pool used in another process, or on another event loop, than the one that started it."""


class RequestRefused(WaterspoutError):
    """A request that must not reach any app.

    Attributes: `status` (int, the HTTP status to answer with).
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Decline(WaterspoutError):
    """Raised by a native handler that has written nothing: the WSGI app answers instead, with the whole body.

    Not in a handler that streams the request's body, which is gone by then: there it is an error.
    """

    def __str__(self) -> str:
        """Read where it is an error: nobody takes the request over."""
        return super().__str__() or (
            "only a native handler can decline, as long as it has written nothing, and not one that streams "
            "the request's body"
        )


class NotHTTP(RequestRefused):
    """The first line is not a request line."""

    def __init__(self, spoken: str = "") -> None:
        super().__init__(400, f"Malformed HTTP request line{spoken and f' ({spoken})'}")


class ClientDisconnected(WaterspoutError, ConnectionError):
    """The client left, or broke the framing, before the request's body was complete.

    Raised by `environ["wsgi.input"]` in the view. Being an `OSError`, it is what Django expects of a broken
    input stream; where Werkzeug is loaded, it is also a `werkzeug.exceptions.ClientDisconnected`.
    """


class Forked(WaterspoutError, RuntimeError):
    """In a process that a view has forked: its request's body, and the reply, are its parent's."""


class InvalidResponse(WaterspoutError):
    """The app broke PEP 3333 in its reply. The text never goes to the client."""


class FrameError(WaterspoutError):
    """Bytes on a lane or control channel that are not a frame."""
