"""One serving process, from its sockets to its end: `waterspout serve`.

server.py          Server: listen, serve until told to stop, drain
certificate.py     what it shows by TLS; validity.py, for how long that holds
tornado_server.py  Tornado's own HTTP server, made able to drain
notifying.py       what a service manager is told
hearing.py         signals that its event loop does not hear
reloading.py       `--reload`
sources.py         native code that has changed, which SIGHUP does not load
underway.py        what it has in hand as it is told to stop, for the log
shutdown.py        the end of what it runs, while its event loop goes on
deadline.py        the end of the process, behind that: by when
ops_server.py      the address that answers GET /-/stats and /-/health
waiting.py         native requests that have not been answered for long
watchdog.py        what holds the event loop, said while it does
"""
