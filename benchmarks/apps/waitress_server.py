"""waitress with eight threads: python -m benchmarks.apps.waitress_server PORT

It warns of every request that waits for a thread, which under this load is most of them; its documentation
says to silence that logger where it is no news.
"""

import logging
import sys

import waitress

from benchmarks.apps.flask_app import app

logging.getLogger("waitress.queue").setLevel(logging.ERROR)
waitress.serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=8)
