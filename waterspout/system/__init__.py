"""This process, and what it uses of the operating system. Knows nothing of HTTP.

listeners.py       where it listens
descriptors.py     how many descriptors it may have, and which limit an error speaks of
signals.py         signals, and what a child that an app forks must not keep
surroundings.py    the streams and signal handlers that it was started with
daemon_thread.py   a daemon thread whose own threads are not daemons
turns.py           of many who have more to do, a few in each iteration of the event loop
fatal.py           exceptions in tasks: which of them end more than one request
processes.py       memory, CPU time and cores of a process, this one or another
joining.py         pieces that wait for a slow client, the small ones joined    (pure)
transport.py       transports that can't end by themselves, or not at once
plain_socket.py    sockets as Python has them, whatever an app makes of the class
secure_socket.py   a socket and its TLS in one
unacknowledged.py  how much of what was sent the other side has not acknowledged
hangup.py          what the other side has done that is still unread
loopback.py        which addresses only this machine can reach
allocator.py       the C library's memory
garbage.py         Python's garbage collector
"""
