"""Where a run was made: the machine, the versions, how busy the neighbours were."""

import os
import platform
from importlib.metadata import version
from typing import Any

import psutil

RELEVANT = ("celery", "kombu", "redis", "psycopg", "httpx", "h2", "locust", "simpy")


def machine() -> dict[str, Any]:
    """Cores that this process may use, memory, processor, system."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Of Python and of what the run rests on."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in RELEVANT},
    }


def busy_cores_s() -> float:
    """Core-seconds that the whole machine has worked since it was started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
