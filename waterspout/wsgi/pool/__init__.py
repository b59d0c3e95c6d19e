"""Which exchange runs on which lane. Above `lanes` and `exchange`, below the container.

pool.py        Pool: gives each exchange a lane, or refuses it when there is none
queue.py       exchanges that wait for a lane
supervisor.py  births, deaths and replacement of a pool's crews
arrival.py     crews that are starting
watch.py       once a second, checks everything that runs
orphans.py     processes that outlive their event loop
pools.py       Pools: several pools for one app
starting.py    ... which start once for all callers
bulkheads.py   ... and which of them a path belongs to    (pure)
telling.py     the figures of pools
"""
