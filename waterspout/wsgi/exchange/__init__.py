"""One request and its reply, seen from the event loop: between a connection and a lane.

exchange.py    Exchange: the whole of it
upload.py      its body, as the view asks for it
reply.py       the reply, as the client takes it
headers.py     ... and its fields, as the app wrote them
tunnel.py      ... or whatever it is, where the view has taken the connection over
concluding.py  how it ends: whole, cut, or with the server's own answer
slow.py        how a slow client is handled
admission.py   ... which requests may have a lane before their body is whole
pace.py        ... how fast a client is                (pure)
spool.py       ... what waits, in memory or on disk    disk.py      the file for it
download.py    ... a reply that waits there
"""
