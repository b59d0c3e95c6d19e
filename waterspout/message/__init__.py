"""What HTTP says about one request and its reply, whichever server received it: for `http` and `wsgi` alike.

target.py     what a request is for: its path, and how paths are read    (pure)
framing.py    where its body ends                                        (pure)
size.py       how large its body may be
forwarded.py  what its fields say about a client behind a proxy          (pure)
proxies.py    which of them to believe: one verdict for each request, for both sides
upgrade.py    whether it asks for a WebSocket                            (pure)
frame_ends.py where the frames of such a client end                      (pure)
origin.py     the fields Date and Server of every reply
closing.py    which requests are the last of their connection, and how a reply is cut
record.py     what is known about one request and its reply: the access log
"""
