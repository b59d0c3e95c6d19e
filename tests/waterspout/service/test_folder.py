import hashlib
import io
import os
import time

import pytest

from waterspout.service.folder import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "files")


def names(folder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def test_a_file_is_kept_whole_from_its_beginning(folder):
    stream = io.BytesIO(b"x" * 200_000)
    stream.read()
    kept = folder.keep(stream)
    content = (folder.path / kept.name).read_bytes()
    assert (kept.size, kept.sha256) == (200_000, hashlib.sha256(content).hexdigest())
    assert names(folder) == {kept.name}


def test_the_names_of_new_folders_survive_a_power_failure(tmp_path, monkeypatch):
    sync, synced = os.fsync, set()

    def note(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr("os.fsync", note)
    folder = Folder(tmp_path / "data" / "files")
    folder.keep(io.BytesIO(b"x"))
    assert {path.stat().st_ino for path in (folder.path, *folder.path.parents[:2])} <= synced


def test_what_fails_halfway_leaves_nothing(folder, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        folder.keep(io.BytesIO(b"x"))
    assert names(folder) == set()


def test_removing_what_is_not_there_is_no_matter(folder):
    kept = folder.keep(io.BytesIO(b"x"))
    folder.remove(kept.name, kept.name, "0" * 32)
    assert names(folder) == set()


def test_orphans_are_swept_and_nothing_else(folder):
    known, orphan, young = (folder.keep(io.BytesIO(b"x")).name for _ in range(3))
    foreign = folder.path / "README"
    foreign.touch()
    for name in (known, orphan, "README"):
        os.utime(folder.path / name, (time.time() - 7200,) * 2)
    assert folder.sweep({known}) == 1
    assert names(folder) == {known, young, "README"}


def test_without_a_folder_there_is_nothing_to_sweep(folder):
    assert folder.sweep(set()) == 0


def test_what_goes_while_it_is_swept_is_no_matter(folder):
    known = folder.keep(io.BytesIO(b"x")).name
    (folder.path / ("0" * 32)).symlink_to("nowhere")  # a name whose file is gone
    assert folder.sweep({known}) == 0
