"""Native routes that take a while to load."""

import os
import time
from pathlib import Path

Path(os.environ["WITNESS_FOLDER"], "loading").touch()
time.sleep(3)

routes = []
