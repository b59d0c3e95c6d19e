"""nginx in front of a test's server: with a configuration as it stands in the documents, on loopback."""

import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import find_nginx, nginx_folders
from benchmarks.server import is_listening
from tests.programs import miss

# Set where a missing nginx must not go unnoticed.
REQUIRED = "WATERSPOUT_REQUIRE_NGINX"
START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0
#: The least that nginx needs around the `http` block's contents. Everything it writes goes to its folder.
AROUND = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    {folders}
    {contents}
}}
"""


def find_program():
    """Return the path of nginx; if it is missing, skip or fail the test."""
    program = find_nginx()
    if program:
        return program
    return miss("no nginx on this machine", REQUIRED)


def adapt(text, folder, port, upstream, certificate, key):
    """A configuration from the documents, made to listen on loopback and to proxy to `upstream`."""
    (folder / "cert.pem").write_text(certificate)
    (folder / "key.pem").write_text(key)
    text = re.sub(r"listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;", text)
    text = re.sub(r"http2 on;", "", text)  # Debian's nginx of 2023 does not know it
    text = re.sub(r"ssl_certificate [^;]+;", f"ssl_certificate {folder}/cert.pem;", text)
    text = re.sub(r"ssl_certificate_key [^;]+;", f"ssl_certificate_key {folder}/key.pem;", text)
    return text.replace("127.0.0.1:8888", f"127.0.0.1:{upstream}")


@contextmanager
def run_nginx(folder: Path, contents: str, port: int):
    """Run nginx with `contents` in its http block, which make it listen on `port`."""
    program = find_program()
    folder.chmod(0o755)  # started by root, nginx serves as another user
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(folder=folder, folders=nginx_folders(folder), contents=contents))
    with (folder / "nginx.log").open("wb") as log:
        command = [program, "-c", str(configuration), "-p", str(folder), "-e", "stderr"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not is_listening(port):
            said = (folder / "nginx.log").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT)
