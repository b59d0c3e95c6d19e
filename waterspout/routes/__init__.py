"""`waterspout routes`: which side answers what, and what is wrong with that. It only asks: nothing is served.

command.py  the command
listing.py  the rules of both sides, a row each
samples.py  paths that a pattern matches      (pure)
judging.py  what the router does with them
report.py   the report of it                  (pure)
shadows.py  the warning about it at a server's start
"""
