"""What an operator can see: figures of the pools and of the event loop, and an address that tells them.

    quantiles.py   many durations, in bounded memory (pure)
    figures.py     what one pool counts (pure)
    lag.py         how late the event loop is
    gauges.py      all of it as one JSON value, with what `wsgi/pool/telling.py` reads off pools
    address.py     what --ops-bind says (pure)
    server.py      the address that answers GET /-/stats and /-/health

Rule: `wsgi` may count here, so nothing here imports it.
"""
