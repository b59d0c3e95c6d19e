"""`waterspout routes`: which side answers what, and what is wrong with that. It is asked, and serves nothing.

command.py  the command
listing.py  the rules of both sides, a row each
samples.py  paths that a pattern takes        (pure)
judging.py  what the router does with them
report.py   what is said of it                (pure)
shadows.py  what is said of it at a server's start
"""
