from wsgi_app.attachments import FILES_SIZE
from wsgi_app.guards import MAX_CONTENT_LENGTH, TAKES_FILES


def test_the_view_that_takes_files_is_there(flask_app):
    assert TAKES_FILES in flask_app.view_functions


def test_everything_else_is_short():
    assert MAX_CONTENT_LENGTH < FILES_SIZE / 100


def test_pages_are_not_in_the_way_of_bodies(client):
    """Without a declared length, an empty body is none."""
    assert client.get("/", environ_overrides={"CONTENT_LENGTH": ""}).status_code == 200
