"""The blocking end of a lane: what runs the app. The event loop, Tornado and asyncio are never imported here.

worker.py    LaneWorker: one thread, one request at a time
environ.py   the environ of PEP 3333                   (pure)
body.py      wsgi.input                                inbox.py   ... what has come of it
response.py  start_response, and what follows it
fields.py    ... status and fields, checked
allow.py     405 and Allow, where native handlers own other methods
varying.py   Vary, where a native handler has declined by the cookies
alive.py     whether somebody still waits, for views that ask
sleep.py     whether views wait for something
child.py     a WSGI process, from within               control.py  ... its end of the control channel
loading.py   the app, loaded                           priority.py ... how much it gives way
"""
