"""One serving process, from its sockets to its end: `waterspout serve`.

server.py          Server: listen, serve until told to stop, drain
certificate.py     its TLS certificate; validity.py, for how long that is valid
tornado_server.py  Tornado's own HTTP server, made able to drain
notifying.py       what a service manager is told
hearing.py         signals that a blocked event loop does not receive
reloading.py       `--reload`
sources.py         native code that has changed, which SIGHUP does not load
underway.py        what it is working on when told to stop, for the log
shutdown.py        the end of what it runs, while its event loop still runs
deadline.py        the end of the process after that, and by when
ops_server.py      the address that answers GET /-/stats and /-/health
waiting.py         native requests that have gone unanswered for long
subprocesses.py    Tornado's `Subprocess` on uvloop
watchdog.py        what blocks the event loop, logged while it does
"""
