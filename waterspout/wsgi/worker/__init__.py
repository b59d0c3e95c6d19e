"""The blocking end of a lane: what runs the app. The event loop, Tornado and asyncio are never imported here.

worker.py    LaneWorker: one thread, one request at a time
environ.py   the environ of PEP 3333                   (pure)
body.py      wsgi.input                                inbox.py   ... the part that has arrived
response.py  start_response, and what follows it
raw_socket.py  the connection itself, for WebSockets of the app's own
fields.py    ... status and fields, checked
allow.py     405 and Allow, where native handlers own other methods
varying.py   Vary, where a native handler has declined because of the cookies
alive.py     whether the client still waits, for views that ask
sleep.py     whether views wait for something
child.py     a WSGI process, from the inside           control.py  ... its end of the control channel
loading.py   loading the app                           priority.py ... its scheduling priority
"""
