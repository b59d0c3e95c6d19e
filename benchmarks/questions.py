"""What is asked. A new question is a new entry; who answers is in contestants.py."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import contestants
from benchmarks.contestants import Contestant

HELLO = {"message": "Hello, world"}


@dataclass(frozen=True)
class Question:
    """`baseline` and `peer` name the contestants that the ratios are to.

    `load_path` and `load_expected`, for "isolation": the view that is loaded meanwhile.
    """

    key: str
    title: str
    contestants: tuple[Contestant, ...]
    baseline: str
    peer: str
    path: str
    expected: object = None  #: the body: text, or what its JSON says
    pinned: bool = True
    logged: bool = False
    measure: str = "throughput"  #: or "idle", "isolation", "transfer": the module that knows how
    unit: str = "requests/s"
    load_path: str = ""
    load_expected: object = None


def isolation(key: str, title: str, path: str, expected: str) -> Question:
    return Question(
        key=key,
        title=title,
        contestants=contestants.ISOLATION,
        baseline="plain recipe",
        peer="Starlette + a2wsgi on uvicorn",
        path="/json",
        expected=HELLO,
        pinned=False,
        measure="isolation",
        unit="% of idle",
        load_path=path,
        load_expected=expected,
    )


def transfer(key: str, title: str) -> Question:
    return Question(
        key=key,
        title=title,
        contestants=contestants.TRANSFER,
        baseline="plain recipe, 64 MiB",
        peer="gunicorn gthread",
        path=f"/{key}",
        pinned=False,
        measure="transfer",
        unit="MiB/s",
    )


QUESTIONS = (
    isolation(
        "isolation", "Native throughput kept while 32 clients are on a view that computes", "/burn", "burnt"
    ),
    isolation(
        "isolation-blocking",
        "Native throughput kept while 32 clients are on a view that waits",
        "/sleep",
        "slept",
    ),
    Question(
        key="native",
        title="Native JSON route, access log off, one core",
        contestants=contestants.native(logged=False),
        baseline="Tornado",
        peer="Starlette on uvicorn",
        path="/json",
        expected=HELLO,
    ),
    Question(
        key="native-logged",
        title="Native JSON route, access log on, one core",
        contestants=contestants.native(logged=True),
        baseline="Tornado",
        peer="Starlette on uvicorn",
        path="/json",
        expected=HELLO,
        logged=True,
    ),
    Question(
        key="flask",
        title="Flask view, text, one core",
        contestants=contestants.FLASK,
        baseline="plain recipe",
        peer="granian",
        path="/",
        expected="Hello from Flask",
    ),
    Question(
        key="flask-json",
        title="Flask view, JSON, one core",
        contestants=contestants.FLASK,
        baseline="plain recipe",
        peer="granian",
        path="/json",
        expected=HELLO,
    ),
    Question(
        key="flask-cores",
        title="Flask view, text, all cores",
        contestants=contestants.FLASK_ON_ALL_CORES,
        baseline="plain recipe",
        peer="granian, a worker for each core",
        path="/",
        expected="Hello from Flask",
        pinned=False,
    ),
    Question(
        key="routes",
        title="A native route with an argument among many, one core",
        contestants=contestants.ROUTES,
        baseline="10 regular expressions",
        peer="10 rules written Flask's way",
        path="/json/r7/items/7",
        expected=HELLO,
    ),
    Question(
        key="flask-routes",
        title="Flask view, JSON, behind native rules, one core",
        contestants=contestants.FLASK_ROUTES,
        baseline="10 native rules",
        peer="no native rule",
        path="/json",
        expected=HELLO,
    ),
    transfer("upload", "512 MiB into a Flask view that reads 64 KiB at a time"),
    transfer("download", "512 MiB out of a Flask view that yields 64 KiB at a time"),
    Question(
        key="sockets",
        title="Memory for an idle WebSocket",
        contestants=contestants.SOCKETS,
        baseline="Tornado",
        peer="aiohttp",
        path="/socket",
        pinned=False,
        measure="idle",
        unit="KiB",
    ),
)
