import hashlib
import io
import unicodedata
from urllib.parse import quote

import pytest

from app.store.incidents import read_cursor, read_incident
from app.store.tables import FILE_NAME_LENGTH
from tests.app.databases import post_incidents
from tests.wsgi_app.conftest import PNG
from wsgi_app.attachments import FILE_NAME_BYTES, FILES_EACH_UPDATE, FILES_SIZE, POLICY, safe_name
from wsgi_app.guards import MAX_CONTENT_LENGTH

UPDATE = {"incident": "1", "state": "identified", "text": "See the picture."}


@pytest.fixture
def attach(operator, store):
    """Post an update with files, each a name and its content."""
    post_incidents(store, 1)

    def attach(*files):
        uploads = [(io.BytesIO(content), name) for name, content in files]
        return operator.post("/admin/", data={**UPDATE, "files": uploads})

    return attach


def kept(settings) -> list[str]:
    folder = settings.folder / "attachments"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_a_file_comes_with_its_update(attach, client, store, settings):
    assert attach(("chart.png", PNG)).status_code == 303
    (attachment,) = store.read(read_incident, 1).updates[0].attachments
    assert (attachment.name, attachment.media_type, attachment.size) == ("chart.png", "image/png", len(PNG))
    assert attachment.sha256 == hashlib.sha256(PNG).hexdigest()
    assert kept(settings) == [attachment.stored_as]
    assert "chart.png" in client.get("/incidents/1").text


def test_everybody_can_save_it_and_no_browser_runs_it(attach, client):
    attach(("page.html", b"<script>alert(1)</script>"))
    with client.get("/attachments/1") as response:
        assert response.data == b"<script>alert(1)</script>"
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Content-Disposition"] == "attachment; filename=page.html"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"] == POLICY
        assert "sandbox" in POLICY
        etag = response.headers["ETag"]
    with client.get("/attachments/1", headers={"If-None-Match": etag}) as response:
        assert response.status_code == 304
    with client.get("/attachments/1", headers={"Range": "bytes=0-7"}) as response:
        assert response.data == b"<script>"


def test_it_is_saved_under_its_name_in_any_script(attach, client):
    attach(("отчёт за май.txt", b"Requests: 12"))
    assert "отчёт_за_май.txt" in client.get("/incidents/1").text
    with client.get("/attachments/1") as response:
        assert f"filename*=UTF-8''{quote('отчёт_за_май.txt')}" in response.headers["Content-Disposition"]


def test_its_name_in_ascii_is_no_path(attach, client):
    """Werkzeug makes it for old clients, and may turn one character into several."""
    attach(("für℀.txt", b"Requests: 12"))
    with client.get("/attachments/1") as response:
        assert "filename=fur.txt;" in response.headers["Content-Disposition"]


@pytest.mark.parametrize(
    "path", ["0", "2", "x", "1/../../board.sqlite3", "..%2f..%2fboard.sqlite3", "9" * 5000]
)
def test_there_is_no_other(attach, client, path):
    attach(("chart.png", PNG))
    assert client.get(f"/attachments/{path}").status_code == 404


def test_a_file_that_was_lost_is_not_found(attach, client, settings):
    attach(("chart.png", PNG))
    (name,) = kept(settings)
    (settings.folder / "attachments" / name).unlink()
    assert client.get("/attachments/1").status_code == 404


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("/etc/passwd", "etc_passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\anna\\chart.png", "CUsersannachart.png"),
        ("a\r\nSet-Cookie: x=1.png", "a_Set-Cookie_x1.png"),
        ("\0", "file"),
        ("..", "file"),
        ("", "file"),
        (".htaccess", "htaccess"),
        ("🌪.png", "🌪.png"),
        ("отчёт.pdf", "отчёт.pdf"),
        ("スクリーンショット 1.png", "スクリーンショット_1.png"),
        ("U\u0308bersicht.pdf", "Übersicht.pdf"),
        ("रिपोर्ट.txt", "रिपोर्ट.txt"),
        ("invoice_\u202efdp.txt", "invoice_fdp.txt"),
        ("\uff0fetc\u2215passwd\u2028", "etcpasswd"),
        ("\ud83c.png", "file.png"),
        ("<>.png", "file.png"),
        ("name.", "name"),
        ("日" * 500 + ".txt", "日" * 78 + ".txt"),
        ("🌪" * 500 + "." + "🌪" * 500, "🌪" * 40 + "." + "🌪" * 19),
        ("℀ ℅ a\u2100b.txt", "ab.txt"),
        ("CON", "_CON"),
        ("\uff23\uff2f\uff2e.txt", "_\uff23\uff2f\uff2e.txt"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("com¹.txt", "_com¹.txt"),
        ("console.txt", "console.txt"),
        ("x" * 500 + ".png", "x" * (FILE_NAME_LENGTH - 4) + ".png"),
        ("postmortem_of_the_outage_2026_11_27", "postmortem_of_the_outage_2026_11_27"),
        ("x" * 500, "x" * FILE_NAME_LENGTH),
        ("x." + "y" * 500, "x." + "y" * 19),
    ],
)
def test_no_name_leads_anywhere(name, safe):
    assert safe_name(name) == safe
    assert "/" not in unicodedata.normalize("NFKD", safe)
    assert len(safe) <= FILE_NAME_LENGTH
    assert len(safe.encode()) <= FILE_NAME_BYTES


@pytest.mark.parametrize("name", ["../../evil.png", "/tmp/evil.png", "..\\evil.png", "a/../../evil.png"])
def test_no_file_is_written_elsewhere(attach, settings, store, name):
    before = {path for path in settings.folder.parent.rglob("*") if path.is_file()}
    attach((name, PNG))
    after = {path for path in settings.folder.parent.rglob("*") if path.is_file()}
    (new,) = [path for path in after - before if "sqlite3" not in path.name]
    assert new.parent == settings.folder / "attachments"
    assert new.name == store.read(read_incident, 1).updates[0].attachments[0].stored_as
    assert "evil" not in new.name


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ([("x.png", b"MZ\x90\x00")], "x.png can&#39;t be attached"),
        ([("chart.png", PNG), ("x.exe", b"MZ\x90\x00")], "x.exe can&#39;t be attached"),
        ([("empty.txt", b"")], "empty.txt can&#39;t be attached"),
        ([("chart.png", PNG)] * (FILES_EACH_UPDATE + 1), "5 files at most"),
        ([("<b>.png", b"\x00")], "b.png can&#39;t be attached"),
    ],
)
def test_what_is_refused_leaves_nothing(attach, settings, store, files, complaint):
    response = attach(*files)
    assert response.status_code == 400
    assert complaint in response.text
    assert "See the picture.</textarea>" in response.text
    assert store.read(read_cursor) == 1
    assert kept(settings) == []


def test_an_update_that_is_refused_leaves_no_file(operator, settings, store):
    data = {**UPDATE, "incident": "77", "files": [(io.BytesIO(PNG), "chart.png")]}
    assert operator.post("/admin/", data=data).status_code == 400
    assert kept(settings) == []


def test_a_disk_that_is_full_leaves_no_file(attach, settings, store, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    assert attach(("chart.png", PNG)).status_code == 500
    assert kept(settings) == []
    assert store.read(read_cursor) == 1


def test_the_largest_fits_in(operator, store):
    post_incidents(store, 1)
    fields = {**UPDATE, "csrf_token": operator.token()}.items()
    field = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    head = '--x\r\nContent-Disposition: form-data; name="files"; filename="log.txt"\r\n\r\n'
    parts = [*(field.format(*each) for each in fields), head, "x" * FILES_SIZE, "\r\n--x--\r\n"]
    body = "".join(parts).encode()
    reply = operator.post("/admin/", data=body, content_type="multipart/form-data; boundary=x")
    assert reply.status_code == 303
    assert store.read(read_incident, 1).updates[0].attachments[0].size == FILES_SIZE


def test_a_huge_one_is_refused_unread(operator, settings, store):
    """A gigabyte, announced: not one byte of it is read."""
    post_incidents(store, 1)

    class Untouched(io.RawIOBase):
        def readinto(self, buffer):
            raise AssertionError("the body was read")

    for length in (2**30, FILES_SIZE + MAX_CONTENT_LENGTH + 1):
        response = operator.open(
            "/admin/",
            method="POST",
            content_type="multipart/form-data; boundary=x",
            headers={"X-CSRFToken": operator.token()},
            environ_overrides={"wsgi.input": Untouched(), "CONTENT_LENGTH": str(length)},
        )
        assert response.status_code == 413
        assert "10 MiB" in response.text
    assert store.read(read_cursor) == 1
    assert kept(settings) == []


def test_nobody_else_sends_files(client, settings, store):
    data = {**UPDATE, "files": [(io.BytesIO(PNG), "chart.png")]}
    assert client.post("/admin/", data=data).status_code == 403
    assert kept(settings) == []
