"""What is said while the server runs, and how often.

loggers.py   our own, to stderr; what an app does to them while it is loaded
steady.py    loggers that never raise, and that no `dictConfig` turns off
saying.py    what goes to the operator beside them
tally.py     a limit on how often a line is said                            (pure)
tallying.py  the same, and what was left out is said at the end of it
standing.py  where a thread is, and what keeps the process from ending
lateness.py  code of others that takes long to load, and where it is
"""
