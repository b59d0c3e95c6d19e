"""nginx in front of Tornado and gunicorn: python -m benchmarks.apps.nginx_server PORT WORKERS

`/json` goes to Tornado's own server, which runs native.py, everything else to gunicorn with WORKERS
processes of eight threads each: each upstream as its documentation has it behind nginx.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import find_nginx, nginx_folders
from benchmarks.server import find_port, is_listening

START_TIMEOUT = 15
STOP_TIMEOUT = 5
CONFIGURATION = """\
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {folders}
    upstream native {{ server 127.0.0.1:{native}; keepalive 32; }}
    upstream flask {{ server 127.0.0.1:{flask} fail_timeout=0; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        location = /json {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://native;
        }}
        location / {{ proxy_pass http://flask; }}
    }}
}}
"""


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def start_all(port: int, workers: str, folder: Path) -> list[subprocess.Popen[bytes]]:
    """nginx last: whoever reaches it reaches the others."""
    native, flask = find_port(), find_port()
    gunicorn = ("-m", "gunicorn", "--worker-class", "gthread", "--threads", "8", "--workers", workers)
    started = [
        start(sys.executable, "-m", "benchmarks.apps.tornado_server", "benchmarks.apps.native", str(native)),
        start(sys.executable, *gunicorn, "--bind", f"127.0.0.1:{flask}", "benchmarks.apps.flask_app:app"),
    ]
    deadline = time.monotonic() + START_TIMEOUT
    while not (is_listening(native) and is_listening(flask)) and time.monotonic() < deadline:
        time.sleep(0.05)
    configuration = folder / "nginx.conf"
    places = {"folder": folder, "folders": nginx_folders(folder)}
    configuration.write_text(CONFIGURATION.format(**places, native=native, flask=flask, port=port))
    return [*started, start(find_nginx(), "-c", str(configuration), "-p", str(folder))]


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="waterspout-nginx-") as name:
        os.chmod(name, 0o755)  # started by root, nginx serves as somebody else
        started: list[subprocess.Popen[bytes]] = []
        try:
            started = start_all(int(sys.argv[1]), sys.argv[2], Path(name))
            while all(process.poll() is None for process in started):
                time.sleep(0.1)
            sys.exit("one of the three ended")
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(STOP_TIMEOUT)


if __name__ == "__main__":
    main()
