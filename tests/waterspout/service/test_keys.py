import threading

import pytest

from waterspout.service.keys import keep_key


def test_all_who_ask_at_once_get_the_same(tmp_path):
    path, keys = tmp_path / "var" / "key", []
    threads = [threading.Thread(target=lambda: keys.append(keep_key(path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1
    assert [file.name for file in path.parent.iterdir()] == ["key"]


def test_nobody_else_may_read_it(tmp_path):
    keep_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_keys_differ(tmp_path):
    assert keep_key(tmp_path / "one") != keep_key(tmp_path / "another")


def test_what_is_no_text_is_none(tmp_path):
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="decode"):
        keep_key(tmp_path / "key")
