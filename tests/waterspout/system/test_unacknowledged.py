"""What is on its way between the two ends of a connection."""

import errno
import socket
import subprocess
import sys
from types import SimpleNamespace

from tests.server import poll
from waterspout.system import unacknowledged as kernel
from waterspout.system.unacknowledged import CAN_TELL, held_by_kernel


def test_it_is_what_the_other_side_has_no_room_for():
    assert CAN_TELL
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as ours,
        server.accept()[0] as theirs,
    ):
        assert held_by_kernel(ours) == 0
        ours.setblocking(False)
        sent = 0
        try:
            while True:
                sent += ours.send(bytes(100_000))
        except BlockingIOError:
            pass
        assert 0 < held_by_kernel(ours) <= sent
        while sent:
            sent -= len(theirs.recv(1_000_000))
        assert poll(lambda: held_by_kernel(ours) == 0)


def test_of_what_is_closed_or_no_socket_nobody_tells():
    sock = socket.socket()
    sock.close()
    assert held_by_kernel(sock) == held_by_kernel(None) == 0


def test_macos_is_asked_in_its_own_way(monkeypatch):
    """Its TIOCOUTQ does not know sockets."""
    monkeypatch.setattr(kernel, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(kernel, "ioctl", None)
    held = {(socket.SOL_SOCKET, 0x1024): 7}
    assert held_by_kernel(SimpleNamespace(getsockopt=lambda *option: held[option])) == 7


def test_where_nobody_tells_it_is_known_that_nobody_does(monkeypatch):
    """Otherwise every reply would look as if its client had all of it."""

    def refuse(*_):
        raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")

    assert kernel._can_tell()
    monkeypatch.setattr(kernel, "ioctl", refuse)
    assert not kernel._can_tell()
    monkeypatch.setattr(kernel, "ioctl", None)  # Windows
    assert not kernel._can_tell()


def test_a_process_is_called_as_is_asked_and_where_it_can_t_be_nothing_happens():
    code = (
        "import builtins, sys\n"
        "from waterspout.system.surroundings import name_process\n"
        "name_process('an-other-name')\n"
        "print(open('/proc/self/comm').read().strip())\n"
        "def refuse(*_): raise FileNotFoundError\n"
        "builtins.open = refuse\n"
        "name_process('a-third')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "an-other-name"
