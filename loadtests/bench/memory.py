"""Private memory of a worker's child and all it starts, above what it has when idle."""

import multiprocessing
import os
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from loadtests.bench.row import Row
from worker.telemetry import usage

Work = Callable[[], object]

_LOOK_EVERY_S = 0.01


class Measured(NamedTuple):
    """MiB above idle at most, peak resident MiB, and what the work returned."""

    above_idle_mib: float
    peak_rss_mib: float
    answer: Any


def above_idle(work: Work) -> Measured:
    """The memory of a child that does ``work``.

    ``work`` must be importable in the child, which inherits the environment. The child
    is idle when it has loaded the worker's app and the module of ``work``; what that
    imports when it runs counts. Raises RuntimeError when the child ends without a word.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_child, args=(theirs, work))
    child.start()
    theirs.close()
    try:
        idle_mib, most_mib, peak_rss_mib, answer = ours.recv()
    except EOFError:
        raise RuntimeError("the measured child ended before its work did") from None
    finally:
        child.join()
    return Measured(most_mib - idle_mib, peak_rss_mib, answer)


def memory_row(name: str, work: Work, *, target_mib: float) -> Row:
    """The line that says what ``work`` costs above idle."""
    above_mib, peak_rss_mib, _ = above_idle(work)
    return Row(
        name=name,
        value=above_mib,
        unit="MiB",
        repeats=1,
        target=target_mib,
        peak_rss_mib=round(peak_rss_mib, 1),
    )


def named(module: str, function: str, *arguments: object) -> object:
    """Call a function whose module is imported only now.

    For work whose imports count: a child imports the module of a function that it is
    handed before it is idle.
    """
    return getattr(import_module(module), function)(*arguments)


def _child(pipe: Connection, work: Work) -> None:
    import_module("worker.app")
    idle_mib = _private_mib()
    most_mib, done = [idle_mib], Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY_S):
            most_mib.append(_private_mib())

    watcher = Thread(target=watch)
    watcher.start()
    try:
        answer = work()
    finally:
        done.set()
        watcher.join()
    pipe.send((idle_mib, max(most_mib), usage.peak_rss_mib(), answer))


def _private_mib() -> float:
    """Pages that no other process shares, of this process and those it has started."""
    return sum(map(_private_kib, _tree(os.getpid()))) / 1024


def _private_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended
        for child in children:
            found += _tree(int(child))
    return found
