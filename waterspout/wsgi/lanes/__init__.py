"""The event loop's ends of lanes. Knows workers, but exchanges only through the `LaneUser` protocol.

lane.py      Lane: one of them
crew.py      Crew: lanes whose workers live and die together
threads.py   ... as threads of this process
process.py   ... as a separate process                 command.py  ... and how that is started
prefetch.py  which requests are queued behind one that still runs
longest.py   what has been running longest
scarcity.py  lanes that can't be had, for the log
"""
