"""Which exchange runs on which lane. Above `lanes` and `exchange`, below the container.

pool.py        Pool: gives each exchange a lane, or what is said when there is none
queue.py       those that wait for one
supervisor.py  births, deaths and replacement of its crews
arrival.py     crews that start
watch.py       one look a second at all that runs
orphans.py     processes that outlive their event loop
pools.py       Pools: several of them for one app
starting.py    ... which start once for all who ask
bulkheads.py   ... and which of them a path belongs to    (pure)
telling.py     their figures
"""
