"""`--reload`: which files count, and what a change to one means. On the wire: test_reload_option.py."""

import asyncio
import importlib.util
import logging
import os
import subprocess
import sys
import time
import types

import pytest
import watchfiles

from tests.waterspout.wsgi.jobs import wait_for
from waterspout import importer
from waterspout.exceptions import ConfigurationError
from waterspout.importer import Home
from waterspout.serving import reloading
from waterspout.serving.reloading import (
    Watcher,
    check_watcher,
    find_changed,
    find_folders,
    find_native_files,
    take_inherited,
    wait_and_restart,
)

pytestmark = pytest.mark.gen_test(timeout=20)


@pytest.fixture(autouse=True)
def home(monkeypatch):
    """No command line has said where it was started."""
    monkeypatch.setattr(Home, "path", None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *(path for path in sys.path if "site-packages" in path)])
    return tmp_path


async def test_without_watchfiles_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigurationError, match="pip install watchfiles"):
        check_watcher()


class Blind:
    """Stands in for watchfiles where the system reports no changes."""

    DefaultFilter = watchfiles.DefaultFilter

    def __init__(self, error):
        self._error = error

    async def awatch(self, *_, **__):
        raise self._error
        yield

    def watch(self, *_, **__):
        raise self._error
        yield


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (RuntimeError("Error creating recommended watcher: Too many open files"), "FORCE_POLLING"),
        (OSError("OS file watch limit reached."), "FORCE_POLLING"),
        (PermissionError("Permission denied (os error 13)"), "IGNORE_PERMISSION_DENIED"),
    ],
)
async def test_where_changes_can_t_be_seen_one_line_says_what_to_do(folder, monkeypatch, caplog, error, name):
    monkeypatch.setattr(reloading, "_import_watcher", lambda: Blind(error))
    watcher = Watcher(list, list)
    watcher.start()
    await wait_for(lambda: caplog.text)
    await watcher.stop()
    wait_and_restart([])
    assert caplog.text.count(f"file changes are not detected ({error}); set WATCHFILES_{name}=1") == 2
    assert "Traceback" not in caplog.text


async def test_native_files_are_those_of_loaded_modules_but_no_library_s():
    files = find_native_files()
    assert os.path.realpath(__file__) in files
    assert not any("site-packages" in file or file.endswith("asyncio/__init__.py") for file in files)


@pytest.mark.parametrize("named", [set(), {"lazy"}], ids=["a module", "named by an option"])
async def test_a_module_that_is_to_be_loaded_when_it_is_used_is_not_by_being_asked_for_its_file(
    folder, monkeypatch, named
):
    monkeypatch.setattr(importer, "_named", named)
    (folder / "lazy.py").write_text("raise AssertionError")
    spec = importlib.util.spec_from_file_location("lazy", folder / "lazy.py")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lazy)
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    monkeypatch.setitem(sys.modules, "odd", 7)
    assert os.path.realpath(folder / "lazy.py") in find_native_files()


async def test_folders_are_each_named_once(folder, monkeypatch):
    (folder / "inner").mkdir()
    monkeypatch.setattr(
        sys, "path", ["", str(folder), str(folder / "inner"), str(folder / "none"), *sys.path]
    )
    assert find_folders() == [str(folder)]


async def test_python_s_own_folders_are_not_watched_though_it_calls_them_by_links(tmp_path, monkeypatch):
    """As Homebrew's Python does on macOS."""
    (tmp_path / "cellar").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "opt").symlink_to(tmp_path / "cellar")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "cellar")])
    monkeypatch.setattr(os, "__file__", str(tmp_path / "opt" / "os.py"))
    importer._find_homes.cache_clear()
    try:
        assert find_folders() == [str(tmp_path / "work")]
    finally:
        importer._find_homes.cache_clear()


async def test_sources_and_templates_count_and_nothing_else(folder):
    began = time.time() - 10
    for name in ("a.py", "b.html", "c.txt", "d.pyc", "templates/e.txt", "node_modules/f.py", ".git/g.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    found = {os.path.relpath(path, folder) for path in find_changed(began)}
    assert found == {"a.py", "b.html", "templates/e.txt"}
    assert find_changed(time.time() + 10) == set()


async def test_a_time_to_come_is_no_change(folder):
    """Written by a machine whose clock is ahead: otherwise the server would restart forever."""
    (folder / "a.py").touch()
    os.utime(folder / "a.py", (time.time() + 3600,) * 2)
    assert find_changed(time.time() - 10) == set()


@pytest.mark.parametrize("name", ["templates", "node_modules", "site"])
async def test_what_the_watched_folder_lies_in_says_nothing_of_its_files(tmp_path, monkeypatch, name):
    project = tmp_path / name / "shop"
    (project / "templates").mkdir(parents=True)
    for file in ("a.py", "site.log", "templates/e.txt"):
        (project / file).touch()
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", [""])
    found = {os.path.relpath(path, project) for path in find_changed(time.time() - 10)}
    assert found == {"a.py", "templates/e.txt"}


@pytest.fixture
def told():
    return []


def load(monkeypatch, path):
    """As if this process had loaded a module from there."""
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, path.stem, module)


@pytest.fixture
def watcher(io_loop, folder, told, monkeypatch):
    (folder / "native.py").touch()
    os.utime(folder / "native.py", (0, 0))
    load(monkeypatch, folder / "native.py")

    async def start():
        made = Watcher(lambda: told.append("wsgi"), lambda: told.append("native"))
        made.start()
        await asyncio.sleep(0.3)
        return made

    made = io_loop.run_sync(start)
    yield made
    io_loop.run_sync(made.stop)


async def test_a_change_is_told_as_what_it_is(watcher, folder, told):
    (folder / "view.py").write_text("x = 1")
    await wait_for(lambda: told)
    assert set(told) == {"wsgi"}
    (folder / "native.py").write_text("x = 1")
    await wait_for(lambda: "native" in told)


async def test_a_change_that_can_t_be_followed_is_not_the_last(watcher, folder, told, monkeypatch, caplog):
    def fail():
        raise RuntimeError("no")

    monkeypatch.setattr(watcher, "_on_wsgi", fail)
    (folder / "view.py").write_text("x = 1")
    await wait_for(lambda: "a code change could not be handled" in caplog.text)
    (folder / "native.py").write_text("x = 1")
    await wait_for(lambda: told == ["native"])


async def test_what_this_process_has_loaded_since_is_native(watcher, folder, told, monkeypatch):
    load(monkeypatch, folder / "late.py")
    (folder / "late.py").write_text("x = 1")
    await wait_for(lambda: told)
    assert told == ["native"]


async def test_nobody_logs_that_the_log_has_changed(watcher, folder):
    """A log of everything, in a file beside the code."""
    log, root = logging.FileHandler(folder / "dev.log"), logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.INFO)
    try:
        logging.getLogger("shop").info("begins")
        await asyncio.sleep(2.5)
        assert (folder / "dev.log").read_text() == "begins\n"
    finally:
        root.removeHandler(log)
        root.setLevel(level)
        log.close()


@pytest.mark.parametrize(
    "text",
    ["def (", "x = '\0'", "x = " + "+".join("1" * 100_000), "x = " + "-" * 100_000 + "1"],
    ids=["wrong", "with a NUL", "that recurses too deeply", "that is nested too deeply"],
)
async def test_nothing_is_told_while_a_changed_file_can_t_be_compiled(watcher, folder, told, caplog, text):
    (folder / "view.py").write_text(text)
    await wait_for(lambda: "nothing is loaded until this is fixed" in caplog.text)
    (folder / "native.py").write_text("x = 2")
    await asyncio.sleep(1.5)
    assert told == []
    assert caplog.text.count("nothing is loaded") == 1
    (folder / "view.py").write_text("x = 3")
    await wait_for(lambda: told)
    assert told[0] == "native"


async def test_what_was_inherited_is_told_to_no_child(monkeypatch):
    assert take_inherited() == ()
    monkeypatch.setenv("WATERSPOUT_INHERITED_SOCKETS", "7,8")
    assert take_inherited() == (7, 8)
    assert take_inherited() == ()


async def test_a_restart_runs_the_same_command_with_the_sockets(folder):
    code = (
        "import os, socket, sys\n"
        "from waterspout.serving.reloading import restart, take_inherited\n"
        "inherited = take_inherited()\n"
        "if inherited:\n"
        "    sock = socket.socket(fileno=inherited[0])\n"
        "    print(os.getpid() == int(os.environ['FIRST']), sock.getsockname()[1], sys.argv[1:])\n"
        "else:\n"
        "    sock = socket.create_server(('127.0.0.1', 0))\n"
        "    os.environ['FIRST'] = str(os.getpid())\n"
        "    print(sock.getsockname()[1], flush=True)\n"
        "    restart([sock])\n"
    )
    (folder / "script.py").write_text(code)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "script.py", "one", "two"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    port, told = done.stdout.splitlines()
    assert told == f"True {port} ['one', 'two']"
