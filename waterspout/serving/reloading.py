"""`--reload`: changed code is loaded automatically, during development. Needs watchfiles.

A change to what only the WSGI app uses reloads that app; native connections stay. A change to a module that
the server itself has loaded restarts the server, on the same sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from waterspout.exceptions import ConfigurationError
from waterspout.importer import Home, is_foreign, read_names
from waterspout.limits import RESTART_END
from waterspout.logs.standing import find_children
from waterspout.serving.deadline import end_children

logger = logging.getLogger("waterspout.reload")

#: Where a server finds the descriptors of the sockets that it listened on before it restarted itself.
_INHERITED: Final = "WATERSPOUT_INHERITED_SOCKETS"
_TEMPLATES: Final = (".html", ".htm", ".jinja", ".jinja2", ".j2")
#: The watcher wakes up this often (milliseconds), and yields nothing then. We filter changes ourselves: with
#: its own filter it would yield nothing at all while, say, a log is written beside the code.
_WAITING: Final = {"rust_timeout": 1000, "yield_on_timeout": True, "watch_filter": None}

#: No watcher has seen what changes while this process loads its code.
_started = time.time()


def check_watcher() -> None:
    """Raises ConfigurationError: watchfiles, which would watch the files, is not installed."""
    _import_watcher()


def _import_watcher() -> Any:
    try:
        import watchfiles  # optional: only --reload needs it
    except ImportError:
        raise ConfigurationError("--reload needs watchfiles: pip install watchfiles") from None
    said = logging.getLogger("watchfiles")
    if said.level == logging.NOTSET:
        # It logs each change, at INFO: if the log is a file beside the code, its own lines, too, forever.
        said.setLevel(logging.WARNING)
    return watchfiles


def find_own_files() -> set[str]:
    """The files of all modules that this process has loaded and that a developer may be working on, under
    the names they had when loaded.
    """
    found = set()
    for module in list(sys.modules.values()):
        file = read_names(module).get("__file__")
        if isinstance(file, str) and file and not is_foreign(file):
            found.add(file)
    return found


def find_native_files() -> frozenset[str]:
    """The same, with links resolved."""
    return frozenset(map(os.path.realpath, find_own_files()))


class Watcher:
    """Watches the start directory, and the directories of `sys.path` that have nothing installed in them.

    `on_wsgi` is called when files of the WSGI app have changed, `on_native` when the file of a module that
    this process has loaded by then has; neither is called while a changed file can't even be compiled.
    """

    def __init__(self, on_wsgi: Callable[[], None], on_native: Callable[[], None]) -> None:
        self._on_wsgi = on_wsgi
        self._on_native = on_native
        self._changed: set[str] = set()
        self._errors: list[str] = []
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())
        self._task.add_done_callback(_say_failure)

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        late, is_wanted = True, _make_filter()
        async for found in _import_watcher().awatch(*find_folders(), stop_event=self._stop, **_WAITING):
            self._changed.update(path for change, path in found if is_wanted(change, path))
            if late:
                self._changed.update(find_changed(_started))
                late = False
            if self._changed:
                try:
                    self._judge()
                except Exception:
                    logger.exception("a code change could not be handled")

    def _judge(self) -> None:
        errors = list(filter(None, map(_find_error, sorted(self._changed))))
        if errors and errors != self._errors:
            logger.error("%s: nothing is loaded until this is fixed", errors[0])
        self._errors = errors
        if errors:
            return
        paths, self._changed = self._changed, set()
        native = find_native_files().intersection(map(os.path.realpath, paths))
        named = ", ".join(sorted(os.path.relpath(path, _find_start()) for path in native or paths))
        logger.info("%s changed", named)
        (self._on_native if native else self._on_wsgi)()


def _say_failure(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, (RuntimeError, OSError)):
        _say_blind(error)
    elif error is not None:
        logger.error("file changes are no longer detected", exc_info=error)


def _say_blind(error: RuntimeError | OSError) -> None:
    """Log that the system reports nothing to watchfiles: it has no inotify, or none left (RuntimeError), or
    can't watch so many folders, or one of them.
    """
    is_denied = isinstance(error, PermissionError)
    name = "IGNORE_PERMISSION_DENIED" if is_denied else "FORCE_POLLING"
    logger.error("file changes are not detected (%s); set WATCHFILES_%s=1", error, name)


def find_folders() -> list[str]:
    """The folders to watch: each once, and none that lies within another."""
    folders: list[Path] = []
    home = _find_start()
    for name in ("", *sys.path):
        folder = Path(home, name).resolve()
        if folder.is_dir() and not (name and is_foreign(os.path.join(folder, ""))):
            folders.append(folder)
    return [
        str(folder)
        for folder in dict.fromkeys(folders)
        if not any(other in folder.parents for other in folders)
    ]


def find_changed(since: float) -> set[str]:
    """Watched files that changed after `since`. A time in the future only shows that a clock is wrong."""
    is_wanted, now = _make_filter(), time.time()
    found = set()
    for top in find_folders():
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if name not in is_wanted.ignore_dirs]
            for path in (os.path.join(folder, name) for name in files):
                if is_wanted(None, path) and since < _find_time(path) <= now:
                    found.add(path)
    return found


def _find_start() -> str:
    """The start directory, wherever code has changed to since; if it is gone, a path that is no folder."""
    return os.path.realpath(os.path.join(os.sep, Home.path or os.getcwd()))


def _find_time(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _make_filter() -> Any:
    """Python files and templates; not those of virtual environments, caches and version control. Names of the
    folders that a watched folder lies in don't count.
    """
    watchfiles = _import_watcher()
    tops = tuple(os.path.join(folder, "") for folder in find_folders())

    class Sources(watchfiles.DefaultFilter):  # type: ignore[misc, name-defined]
        def __call__(self, change: Any, path: str) -> bool:
            inner = next((path.removeprefix(top) for top in tops if path.startswith(top)), path)
            wanted = inner.endswith((".py", *_TEMPLATES)) or "templates" in Path(inner).parts
            return wanted and super().__call__(change, inner)

    return Sources()


def _find_error(path: str) -> str | None:
    """Why a Python file can't be compiled: its author is in the middle of a change."""
    if not path.endswith(".py"):
        return None
    try:
        compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    except FileNotFoundError:
        return None
    except Exception as error:  # RecursionError and MemoryError, too: code nested too deeply
        return f"{os.path.relpath(path, _find_start())}: {str(error) or type(error).__name__}"
    return None


# --- restarting ------------------------------------------------------------------------------------------


def restart(sockets: Iterable[socket.socket]) -> None:
    """Replace this process by a new server with the same command, listening on `sockets`. Does not return."""
    descriptors = [sock.fileno() for sock in sockets]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    os.environ[_INHERITED] = ",".join(map(str, descriptors))
    sys.stderr.flush()
    end_children(find_children(), RESTART_END)  # the new server would not know them
    with contextlib.suppress(ChildProcessError):  # nor those that have ended: they would stay zombies
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    with contextlib.suppress(OSError):  # the directory is gone, and modules are found elsewhere
        os.chdir(Home.path or ".")
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def take_inherited() -> tuple[int, ...]:
    """The sockets that this server listened on before it restarted itself."""
    return tuple(map(int, filter(None, os.environ.pop(_INHERITED, "").split(","))))


def wait_and_restart(sockets: Iterable[socket.socket]) -> None:
    """For a server that has restarted itself and can't load its code: wait for a change, and try again.

    Does not return, unless it is interrupted, or changes can't be seen.
    """
    late, is_wanted = True, _make_filter()
    try:
        for found in _import_watcher().watch(*find_folders(), raise_interrupt=False, **_WAITING):
            if any(is_wanted(change, path) for change, path in found) or (late and find_changed(_started)):
                restart(sockets)
            late = False
    except (RuntimeError, OSError) as error:
        _say_blind(error)
