"""What is asked. A new question is a new entry; who answers is in contestants.py."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import contestants
from benchmarks.contestants import Contestant

HELLO = {"message": "Hello, world"}


@dataclass(frozen=True)
class Question:
    """`baseline` and `peer` name the contestants that the ratios are to."""

    key: str
    title: str
    contestants: tuple[Contestant, ...]
    baseline: str
    peer: str
    path: str
    expected: object = None  #: the body: text, or what its JSON says
    pinned: bool = True
    logged: bool = False
    measure: str = "throughput"  #: or "idle": the module that knows how
    unit: str = "requests/s"


QUESTIONS = (
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
