"""Waterspout beside its peers: the same app, the same box, in turn. `README.md` has the method.

    __main__.py     looks at what is there, builds .venv-bench, hands over to session.py
    options.py      the command line
    questions.py    what is asked: one table, an entry for each question
    contestants.py  who answers: one table for each question
    apps/           what they all serve
    machine.py      cores, programs and versions of this box
    environment.py  .venv-bench
    session.py      the run: every question, round by round, then the files
    progress.py     what is being measured, and how long the rest will take
    server.py       one contestant, from its start to its end
    throughput.py   measured by wrk: requests a second
    isolation.py    ... by two wrks: what is left of a native route under load
    transfer.py     measured: rate and memory of one large body
    processes.py    a server's memory and CPU time, from /proc
    idle.py         measured: memory for an idle WebSocket
    clients.py      the WebSocket clients, a process of their own
    figures.py      medians and ratios (pure)
    report.py       RESULTS.md (pure)
    chart.py        an SVG for each question

The first five, environment.py included, need nothing but Python; the rest runs inside .venv-bench.
"""
