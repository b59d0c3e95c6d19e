"""Handlers that leave what only the garbage collector frees: a body, a file."""

import os

from tornado.web import RequestHandler

MIB = 1 << 20


class Circle:
    def __init__(self, held):
        self.held = held
        self.itself = self


class File:
    """Not Python's own, which warns when it is collected."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def __del__(self):
        os.close(self.descriptor)


class MemoryHandler(RequestHandler):
    def get(self):
        Circle(b"x" * 4 * MIB)


class FileHandler(RequestHandler):
    def get(self):
        Circle(File(os.open(os.devnull, os.O_RDONLY)))


class PingHandler(RequestHandler):
    def get(self):
        self.write("pong")


routes = [("/memory", MemoryHandler), ("/file", FileHandler), ("/ping", PingHandler)]
