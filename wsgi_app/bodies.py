"""How long a request may be."""

from flask import abort, request

from wsgi_app.attachments import FILES_SIZE

# The longest title and text twice over, where every character is four bytes, each sent as three (%F0).
MAX_CONTENT_LENGTH = 64 * 1024

# The only view that takes files.
TAKES_FILES = "admin.post"


def limit_body() -> None:
    """Answer 413 to what is too long. For `before_request`, after who sends it was looked at."""
    announced = request.content_length or 0
    limit = FILES_SIZE + MAX_CONTENT_LENGTH if request.endpoint == TAKES_FILES else MAX_CONTENT_LENGTH
    if announced > limit:
        abort(413, describe_limit())
    if not announced:
        refuse_long_body()
    request.max_content_length = limit


def refuse_long_body() -> None:
    """Read a body of unannounced length, which may be short only: Werkzeug would cut it without a word."""
    if len(request.get_data()) >= MAX_CONTENT_LENGTH:
        abort(413, describe_limit())


def describe_limit() -> str:
    if request.endpoint == TAKES_FILES:
        return f"All files of an update together may have {FILES_SIZE // 2**20} MiB. Nothing was posted."
    return "That is too much. Nothing was done."
