"""Private memory of a child of the worker, above what it has when it is idle."""

import multiprocessing
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread

from loadtests.bench.row import Row
from worker.telemetry import usage

Work = Callable[[], object]


def above_idle(work: Work) -> tuple[float, float]:
    """(MiB above idle at most, peak resident MiB) of a child that does ``work``.

    ``work`` must be importable in the child, which inherits the environment and has
    the worker's app loaded when it is called idle.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_child, args=(theirs, work))
    child.start()
    theirs.close()
    try:
        idle_mib, most_mib, peak_rss_mib = ours.recv()
    finally:
        child.join()
    return most_mib - idle_mib, peak_rss_mib


def memory_row(name: str, work: Work, *, target_mib: float) -> Row:
    """The line that says what ``work`` costs above idle."""
    above_mib, peak_rss_mib = above_idle(work)
    return Row(
        name=name,
        value=above_mib,
        unit="MiB",
        repeats=1,
        target=target_mib,
        peak_rss_mib=round(peak_rss_mib, 1),
    )


def _child(pipe: Connection, work: Work) -> None:
    import_module("worker.app")
    idle_mib = _private_mib()
    most_mib, done = [idle_mib], Event()

    def watch() -> None:
        while not done.wait(0.002):
            most_mib.append(_private_mib())

    watcher = Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    pipe.send((idle_mib, max(most_mib), usage.peak_rss_mib()))


def _private_mib() -> float:
    """Anonymous memory: what no other process shares, whatever it has forked from."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024
