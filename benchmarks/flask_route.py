"""How many requests a second reach a Flask view: Waterspout beside the plain recipe.

    python -m benchmarks.flask_route [--rounds 5] [--seconds 4] [--connections 32]

Both servers run at once, unpinned; each round loads one after the other, in alternating order. Printed are
the medians and the median of the rounds' ratios: absolute figures say as much of the machine as of a server.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

CONTESTANTS = {
    "recipe": ["-m", "benchmarks.recipe", "{port}"],
    "waterspout, 1 process": ["-m", "waterspout", "serve", "--wsgi", "benchmarks.flask_app:app",
                              "--no-access-log", "--port", "{port}"],
    "waterspout, threads": ["-m", "waterspout", "serve", "--wsgi", "benchmarks.flask_app:app",
                            "--no-access-log", "--wsgi-workers", "0", "--port", "{port}"],
}  # fmt: skip


def find_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until_listening(port: int, deadline: float) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def measure(port: int, seconds: int, connections: int) -> float:
    """Requests a second, by wrk; an answer that is no 200 ends the benchmark."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"the server failed under load:\n{output}")
    match = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    if match is None:
        sys.exit(f"wrk said nothing that can be read:\n{output}")
    return float(match[1])


def run_rounds(ports: dict[str, int], options: argparse.Namespace) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {name: [] for name in ports}
    for round_number in range(options.rounds):
        names = list(ports)[:: 1 if round_number % 2 == 0 else -1]
        for name in names:
            figures[name].append(measure(ports[name], options.seconds, options.connections))
        shown = ", ".join(f"{name} {figures[name][-1]:.0f}" for name in ports)
        print(f"round {round_number + 1} of {options.rounds}: {shown}", file=sys.stderr)
    return figures


def print_table(figures: dict[str, list[float]]) -> None:
    base = figures["recipe"]
    print("| server | requests/s (median) | times the recipe (median of rounds) |")
    print("|---|---|---|")
    for name, values in figures.items():
        ratio = statistics.median(value / other for value, other in zip(values, base, strict=True))
        print(f"| {name} | {statistics.median(values):.0f} | {ratio:.2f} |")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("rounds", 5), ("seconds", 4), ("connections", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    if shutil.which("wrk") is None:
        sys.exit("this benchmark needs wrk (Debian: apt-get install wrk)")
    ports = {name: find_port() for name in CONTESTANTS}
    servers = [
        subprocess.Popen([sys.executable, *(part.format(port=ports[name]) for part in arguments)])
        for name, arguments in CONTESTANTS.items()
    ]
    try:
        for port in ports.values():
            wait_until_listening(port, time.monotonic() + 20)
        for port in ports.values():
            measure(port, 1, options.connections)  # warm-up
        print_table(run_rounds(ports, options))
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(10)


if __name__ == "__main__":
    main()
