"""What an operator can see: figures of the pools, of native handlers and of the event loop.

    quantiles.py   many durations, in bounded memory (pure)
    figures.py     what one pool counts
    lag.py         how late the event loop is
    natives.py     which requests of native handlers are running
    gauges.py      all of it as one JSON value, with what `wsgi/pool/telling.py` reads from pools
    address.py     the value of --ops-bind (pure)

Rule: `wsgi` may count here, so nothing here imports it.
"""
