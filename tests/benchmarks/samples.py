"""What wrk 4.1.0 printed, and a result as results.json holds it."""

WRK = """\
Running 1s test @ http://127.0.0.1:8888/json
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.58ms    1.50ms  33.14ms   95.61%
    Req/Sec     9.10k   644.12    10.05k    70.00%
  Latency Distribution
     50%    3.45ms
     75%    3.71ms
     90%    4.08ms
     99%    7.91ms
  9070 requests in 1.00s, 1.76MB read
{trouble}Requests/sec:   9056.31
Transfer/sec:      1.76MB
"""


def turn(value, **more):
    return {"value": value, "p99_ms": 7.91, "cpu_us": 100.0, "busy": 0.97, **more}


def make_result(**more):
    return {
        "title": "JSON, one core",
        "unit": "requests/s",
        "pinned": True,
        "baseline": "Tornado",
        "peer": "uvicorn",
        "command": "python3 -m benchmarks --only native",
        "rounds": 3,
        "load": "4 s, 32 connections",
        "left_out": [],
        "machine": {
            "date": "2026-11-24",
            "cores": 2,
            "processor": "AMD EPYC",
            "system": "Linux 6.1",
            "versions": {"python": "3.11.7", "tornado": "6.6.1"},
        },
        "samples": {
            "Tornado": [turn(100.0), turn(200.0), turn(50.0)],
            "Waterspout": [turn(300.0), turn(400.0, busy=0.5), turn(100.0)],
            "uvicorn": [turn(200.0), turn(400.0), turn(100.0)],
        },
        **more,
    }
