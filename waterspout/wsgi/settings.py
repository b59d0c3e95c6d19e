"""The settings of a pool: one frozen value, validated once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from waterspout import limits
from waterspout.exceptions import ConfigurationError
from waterspout.system.processes import count_cores

#: The smallest value of a setting, where that is not 0.
_LEAST: Final = {"threads": 1, "nice": limits.NICE_AUTO, "timeout": 0.1, "queue_timeout": 0.1}

#: Descriptors that a WSGI process takes here beside its lanes, and more while one is started.
_OF_A_PROCESS: Final = 2
_OF_A_START: Final = 8


@dataclass(frozen=True)
class PoolSettings:
    """`workers` WSGI processes (0: threads of this process) of `threads` lanes each; `queue` may wait.

    `timeout`: for a view that sends nothing; `queue_timeout`: for a request that waits for a lane (seconds).
    A process is replaced after `max_requests` and up to `max_requests_jitter` more, and when it is larger
    than `max_rss` bytes; 0: never. `nice`: see `limits.WSGI_NICE`. `spool`: bytes on disk
    for slow clients, `spool_reply`: for one reply.
    """

    workers: int = limits.WSGI_WORKERS
    threads: int = limits.WSGI_THREADS
    queue: int = limits.WSGI_QUEUE
    graceful_timeout: float = limits.GRACEFUL_TIMEOUT
    debug: bool = False
    timeout: float = limits.WSGI_TIMEOUT
    queue_timeout: float = limits.WSGI_QUEUE_TIMEOUT
    max_requests: int = 0
    max_requests_jitter: int = 0
    max_rss: int = 0
    nice: int = limits.WSGI_NICE
    spool: int = limits.WSGI_SPOOL
    spool_reply: int = limits.WSGI_SPOOL_REPLY

    def __post_init__(self) -> None:
        """Raises ConfigurationError: an invalid number."""
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if not isinstance(value, (int, float) if name.endswith("timeout") else int):
                raise ConfigurationError(f"wsgi {name} must be a number, not {value!r}")
            least = _LEAST.get(name, 0)
            if not least <= value < math.inf:
                raise ConfigurationError(f"wsgi {name} must be at least {least}, not {value}")
        if self.nice > limits.NICE_IDLE:
            raise ConfigurationError(f"wsgi nice must be at most {limits.NICE_IDLE}, not {self.nice}")
        if self.max_requests_jitter and not self.max_requests:
            raise ConfigurationError(
                "wsgi max_requests_jitter is of no use without max_requests (--wsgi-max-requests): "
                "give both, or neither"
            )

    @property
    def crews(self) -> int:
        """How many crews there should be: the threads of this process are one."""
        return max(1, self.workers)

    @property
    def descriptors(self) -> int:
        """How many the event loop has for its ends of all lanes, and for WSGI processes."""
        lanes = self.threads + 3 * min(self.threads, limits.BACKLOGS)
        return self.crews * lanes + self.workers * _OF_A_PROCESS

    @property
    def descriptors_of_threads(self) -> int:
        """How many threads of this process have for their ends of lanes."""
        return 0 if self.workers else self.threads + 2 * min(self.threads, limits.BACKLOGS)

    @property
    def descriptors_anew(self) -> int:
        """How many it takes to start all WSGI processes anew."""
        return self.descriptors + _OF_A_START if self.workers else 0

    @property
    def ready_timeout(self) -> float:
        """How long a WSGI process may load the app (seconds). A `timeout` that is raised for what takes long
        gives that time, too, as gunicorn's does.
        """
        return max(limits.READY_TIMEOUT, self.timeout)

    @property
    def niceness(self) -> int:
        """`nice`, resolved for the number of cores that this process may use."""
        if self.nice != limits.NICE_AUTO:
            return self.nice
        return limits.NICE_ONE_CORE if count_cores() == 1 else limits.NICE_SEVERAL_CORES


def check_size(name: str, value: object) -> int:
    """`value`, which must be a number of bytes, 0 or more. Raises ConfigurationError."""
    if not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name} must be a number of bytes, 0 or more, not {value!r}")
    return value
