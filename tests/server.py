"""A real server for a test: started as a user starts it, watched from outside, and gone afterwards."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.wire.client import Connection, build_request

ROOT = Path(__file__).resolve().parent.parent
FORMS = {"threads": ("--wsgi-workers", "0"), "process": ("--wsgi-workers", "1")}
#: What the whole suite runs on: WATERSPOUT_TEST_SERVER=tornado WATERSPOUT_TEST_LOOP=asyncio make test
COMBINATION = tuple(
    argument
    for option in ("server", "loop")
    if (value := os.environ.get(f"WATERSPOUT_TEST_{option.upper()}"))
    for argument in (f"--{option}", value)
)
ON_TORNADO = "tornado" in COMBINATION
#: The test modules that started a server: all others behave alike in every combination (tests/matrix.py).
STARTED = set()
START_DEADLINE = 60.0
STOP_DEADLINE = 20.0
#: How long a test waits for what should come at once (seconds): longer than a busy machine may stall, shorter
#: than a fault would make it wait (a client's 15 s, a gate's 20, a stop's 30).
PATIENCE = 10.0
ADDRESS = re.compile(rb"https?://(\[[^\]\s]+\]|[^\s:/\[\]]+):(\d+)| serves unix:")
#: Sets limits, and then becomes the server: limits are read when the modules that need them are loaded.
LIMITED = """
import runpy, sys
from waterspout import limits
vars(limits).update({limits})
del sys.argv[1:3]
runpy.run_module("waterspout", run_name="__main__", alter_sys=True)
"""
# Words that no log of ours may contain, however an app or a client behaves.
LEAKS = (
    b"was never retrieved",
    b"was never awaited",
    b"Exception ignored in",
    b"ResourceWarning",
    b"Fatal Python error",
)


class StartError(Exception):
    """The server ended, or logged no address in time."""


def new_id():
    """Unguessable, so that no answer is right by accident."""
    return uuid.uuid4().hex


def poll(condition, seconds=PATIENCE, pause=0.02):
    """Wait until the condition returns something true, and return that; something false at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            return value
        time.sleep(pause)


def limited(**limits):
    """Words for Python that change limits which are no options: where a test must act within one, a machine
    that stands still for a moment must not be too late.
    """
    return ("-c", LIMITED.format(limits=limits))


@contextmanager
def reserved_port():
    """A port for a server that must be given one: bound here meanwhile, so that nothing else gets it.

    A second socket may listen there, because both have SO_REUSEADDR, and this one never listens.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def stat_of(pid):
    """State, parent and session of a process, or None if it doesn't exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[3])


def living():
    """(pid, parent, session) of every process that is not a zombie."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := stat_of(name)) and stat[0] != "Z":
            yield int(name), stat[1], stat[2]


def is_alive(pid):
    stat = stat_of(pid)
    return stat is not None and stat[0] != "Z"


def has_ended(pid):
    """Gone, or a zombie without a thread left: only then are all of its descriptors closed."""
    try:
        return not is_alive(pid) and len(os.listdir(f"/proc/{pid}/task")) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def freeze(pid):
    """Stop a process, and wait until it has stopped: after the signal its threads stop one by one."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    assert poll(
        lambda: {stat[0] for task in tasks.iterdir() if (stat := stat_of(task.relative_to("/proc")))} == {"T"}
    )


def rss_of(pid):
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def command_line(pid):
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def environment(folder, extra):
    """The test's own environment, without options of Waterspout that a developer may have set.

    WSGI processes have the normal priority: at the lowest, beside tests that compute on every core, a view
    might not run for seconds.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WATERSPOUT_") and name not in ("PYTHONOPTIMIZE", "PYTHONWARNINGS")
    }
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    ours = {"WITNESS_FOLDER": str(folder), "WATERSPOUT_WSGI_NICE": "0"}
    return kept | ours | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | (extra or {})


def choose_combination():
    """The options that every server of this run gets; the current test's module is noted in STARTED."""
    STARTED.add(os.environ["PYTEST_CURRENT_TEST"].partition("::")[0])
    return COMBINATION


def without_waiting(said):
    """What a server has said, on a machine on which nothing takes long to load."""
    lines = said.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("waterspout: waiting for "))


class Server:
    """`waterspout serve` in a session of its own, on a free port; or where the options in `listen` say.

    `address` is None when that is a UNIX socket. `terminal`: its stdin is one, and controls its session.
    """

    def __init__(
        self,
        *arguments,
        folder,
        form=None,
        host="127.0.0.1",
        listen=None,
        python=(),
        env=None,
        cwd=ROOT,
        pass_fds=(),
        stdin=subprocess.DEVNULL,
        terminal=False,
    ):
        self.folder = Path(folder)
        self.form = form
        self._connections = []
        self._log = self.folder / "stderr"
        command = [sys.executable, *python, "-m", "waterspout", "serve", *arguments, *FORMS.get(form, ())]
        listen = ("--host", host, "--port", "0") if listen is None else listen
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *choose_combination(), *listen],
                cwd=cwd,
                env=environment(self.folder, env),
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                pass_fds=pass_fds,
                preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if terminal else None,
            )
        try:
            self.address = self._wait_for_address()
        except BaseException:
            self.kill()
            raise

    def _wait_for_address(self):
        def said():
            return self.process.poll() is not None or ADDRESS.search(self.log_bytes)

        poll(said, START_DEADLINE)
        match = ADDRESS.search(self.log_bytes)
        if (code := self.process.poll()) is not None:
            raise StartError(f"ended with exit code {code}:\n{self.log}")
        if not match:
            raise StartError(f"no address within {START_DEADLINE} s:\n{self.log}")
        return (match[1].decode().strip("[]"), int(match[2])) if match[1] else None

    # What it is

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        return self.address[1]

    @property
    def log_bytes(self):
        return self._log.read_bytes()

    @property
    def log(self):
        return self.log_bytes.decode("utf-8", "backslashreplace")

    def log_lines(self, text, seconds=PATIENCE, enough=1):
        """The lines that contain `text`: as soon as there are enough, or those there are at the deadline."""

        def found():
            return [line for line in self.log.splitlines() if text in line]

        poll(lambda: len(found()) >= enough, seconds)
        return found()

    def session_pids(self):
        """Every living process that it started, and itself."""
        return [pid for pid, _, session in living() if session == self.pid]

    def wsgi_pids(self):
        """Its WSGI worker processes: the children that run our engine."""
        children = [pid for pid, parent, _ in living() if parent == self.pid]
        return [pid for pid in children if b"waterspout" in command_line(pid)]

    def descriptors(self):
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_total(self):
        return sum(map(rss_of, self.session_pids()))

    # Talking to it

    def connect(self, **options):
        """A connection that is closed when the server is released, if not before."""
        connection = Connection(self.address, **options)
        self._connections.append(connection)
        return connection

    def ask(self, method, target, headers=(), body=None, version="1.1", **options):
        """One request on a connection of its own."""
        with self.connect(**options) as connection:
            return connection.ask(method, target, headers, body, version)

    def get(self, target, headers=(), **options):
        return self.ask("GET", target, headers, **options)

    def canary(self, connection=None, seconds=PATIENCE):
        """One request that only a clean lane (and connection) can answer correctly, and in time."""
        ident, body = new_id(), new_id().encode()
        request = build_request("POST", f"/canary?id={ident}", body=body)
        if connection is None:
            with self.connect(timeout=seconds) as connection:
                connection.send(request)
                reply = connection.reply()
        else:
            connection.send(request)
            reply = connection.reply()
        assert (reply.status, reply.body) == (200, b"canary " + ident.encode() + b" " + body)

    # What its app noted

    def notes(self, kind, ident):
        """What the app noted of this kind under this id."""
        try:
            lines = (self.folder / f"{kind}.notes").read_text().splitlines()
        except FileNotFoundError:
            return []
        facts = [json.loads(line) for line in lines if ident in line]
        return [fact for fact in facts if fact["id"] == ident]

    def wait_for_note(self, kind, ident, seconds=PATIENCE):
        notes = poll(lambda: self.notes(kind, ident), seconds)
        assert notes, f"no note {kind!r} for {ident} within {seconds} s"
        return notes[0]

    def open_gate(self, ident):
        (self.folder / f"{ident}.gate").touch()

    def count(self, ident):
        try:
            return int((self.folder / f"{ident}.count").read_text() or 0)
        except FileNotFoundError:
            return 0

    # Its end

    def signal(self, number):
        self.process.send_signal(number)

    def signal_group(self, number):
        """As a terminal does on Ctrl-C."""
        os.killpg(self.pid, number)

    def wait(self, seconds=STOP_DEADLINE):
        """The exit code, or None if it is still running."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def release(self):
        """Close what a test left open."""
        while self._connections:
            self._connections.pop().close()

    def kill(self):
        """End every process of the session, now."""
        self.release()
        deadline = time.monotonic() + PATIENCE
        while (pids := self.session_pids()) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.poll()
            time.sleep(0.01)
        self.process.wait(PATIENCE)

    def stop(self):
        """Drain it; then none of its processes may be left, nor any of LEAKS be in its log."""
        self.release()
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
            code = self.wait()
            poll(lambda: not self.session_pids())
            survivors = self.session_pids()
        finally:
            self.kill()
        assert code == 0, f"exit code {code} after SIGTERM\n{self.log[-3000:]}"
        assert not survivors, f"left behind: {survivors}"
        leaks = [line for line in self.log_bytes.splitlines() if any(word in line for word in LEAKS)]
        assert not leaks, leaks
