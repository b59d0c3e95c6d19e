"""Fixtures for the tests of what the system provides."""

import socket

import pytest


@pytest.fixture
def pair():
    """Two connected sockets, closed in the end."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()
