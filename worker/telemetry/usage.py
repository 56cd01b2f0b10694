"""What a process used: processor seconds, and memory with a peak per attempt.

Memory comes from ``/proc`` where there is one. Writing 5 to ``clear_refs`` sets the
peak back, so that it is the attempt's own and not the child's highest ever:
https://www.kernel.org/doc/html/latest/filesystems/proc.html
"""

import os
import resource
import sys
from pathlib import Path

_PROC = Path("/proc")
_KIB_PER_MIB = 1024


def cpu_s() -> float:
    """Processor seconds of this process and of its ended children, user and system.

    In microseconds: ``os.times`` counts hundredths, and many attempts use less.
    """
    used = (
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return sum(each.ru_utime + each.ru_stime for each in used)


def reset_peak() -> None:
    """Start a new peak; without ``/proc``, or without leave, the old one stands."""
    try:
        (_PROC / "self/clear_refs").write_text("5")
    except OSError:
        return


def peak_rss_mib() -> float:
    """Highest resident memory since the last reset, in MiB."""
    peak = _status_kib("self", "VmHWM")
    if peak is None:
        highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = highest / 1024 if sys.platform == "darwin" else highest  # bytes there
    return peak / _KIB_PER_MIB


def memory_mib(pid: int) -> float | None:
    """Proportional memory of a process in MiB: shared pages count once over all.

    Resident memory where the kernel or a permission withholds the share; None when
    the process is gone or there is no ``/proc``.
    """
    try:
        rollup = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        resident = _status_kib(str(pid), "VmRSS")
        return None if resident is None else resident / _KIB_PER_MIB
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / _KIB_PER_MIB
    return None


def cpu_of_s(pid: int) -> float | None:
    """Processor seconds of another process; None when it is gone or unreadable."""
    try:
        # Unbuffered bytes: a third of what text costs, each second for each process.
        with open(f"{_PROC}/{pid}/stat", "rb", buffering=0) as file:
            said = file.read()
    except OSError:
        return None
    # The name in parentheses may hold spaces: count from the last one.
    after = said.rpartition(b")")[2].split()
    return (int(after[11]) + int(after[12])) / os.sysconf("SC_CLK_TCK")


def _status_kib(pid: str, name: str) -> float | None:
    try:
        status = (_PROC / pid / "status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1])
    return None
