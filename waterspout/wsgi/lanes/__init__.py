"""The event loop's ends of lanes. Knows workers, and no exchange but by what a `LaneUser` is told.

lane.py      Lane: one of them
crew.py      Crew: lanes whose workers live and die together
threads.py   ... as threads of this process
process.py   ... as a process of their own             command.py  ... and how that is started
prefetch.py  what is laid ready behind a request that still runs
longest.py   what has been running longest
scarcity.py  lanes that can't be had, for the log
"""
