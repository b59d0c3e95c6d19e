"""What is logged while the server runs, and how often.

loggers.py   our own, to stderr; what an app does to them while it is loaded
local_time.py  the time of our lines, whatever zone an app sets
steady.py    loggers that never raise, and that no `dictConfig` turns off
saying.py    messages to the operator that bypass them
tally.py     a limit on how often a line is logged                          (pure)
tallying.py  the same, and what was left out is reported later
standing.py  where a thread is, and what keeps the process from ending
lateness.py  an app's code that takes long to load, and where it is
"""
