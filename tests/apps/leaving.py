"""Views that hang, each in its own way, in processes where something is registered to run at the exit."""

import atexit
import os
import sqlite3
import time

from tests.apps.hanging import app as hanging
from tests.apps.table import Table
from tests.apps.witness import note

app = Table()
app.views |= hanging.views
_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@atexit.register
def leave():
    note("leaving", {"QUERY_STRING": "id=exit"})
    time.sleep(float(os.environ.get("EXIT_TAKES", "0")))
    note("left", {"QUERY_STRING": "id=exit"})


@app.view
def sleeping(environ, start_response):
    """In C code, without the interpreter's lock."""
    note("ran", environ)
    time.sleep(120)


@app.view
def burning(environ, start_response):
    note("ran", environ)
    while True:
        pass


@app.view
def querying(environ, start_response):
    """Computes in C code, without the interpreter's lock."""
    note("ran", environ)
    sqlite3.connect(":memory:").execute(_ENDLESS)


@app.view
def printing(environ, start_response):
    """Most of the time it is in the middle of a write, and holds the lock of its stream."""
    note("ran", environ)
    while True:
        print("x" * 1000)
