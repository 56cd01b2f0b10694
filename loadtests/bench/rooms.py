"""The rooms of the bench: each starts what it needs and yields its rows.

A room is a row of ROOMS; what it measures is in the module of its name. Modules are
imported when their room is run, so that one room costs nothing to another.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench.row import Row
from loadtests.rig.rig import Rig, rig
from loadtests.rig.scales import NSW, SMALL, Scale
from worker.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What every room is handed: the folder of real data, if any, and a way to tell."""

    data: Path | None
    say: Callable[[str], None]


Room = Callable[[Given], Iterator[Row]]


def _timetable(given: Given) -> Iterator[Row]:
    from loadtests.bench import timetable

    _need("unzip", "the timetable's baseline")
    given.say("timetable: writes the whole network and loads it, some minutes")
    with _world(given) as up:
        folder = up.folder / "bench"
        folder.mkdir()
        admin_url = up.servers.admin_database_url
        yield from timetable.rows(up.servers.database_url, admin_url, folder)


def _realtime(given: Given) -> Iterator[Row]:
    from loadtests.bench import day, realtime, ticks

    with _world(given) as up:
        yield from realtime.rows(up.servers.redis_url, given.data)
        given.say("realtime: a simulated day of ticks, two minutes")
        yield from day.rows(up.servers.redis_url)
    given.say("realtime: whole ticks beside syncs of the whole network, four minutes")
    with _world(given, scale=NSW) as up:
        folder = up.folder / "bench"
        folder.mkdir()
        yield from ticks.rows(folder)


def _notifications(given: Given) -> Iterator[Row]:
    from loadtests.bench import notifications

    with _world(given) as up:
        yield from notifications.rows(up)


def _loadtests(given: Given) -> Iterator[Row]:
    from loadtests.bench import loadtests

    given.say("loadtests: runs on a stage of their own, five minutes")
    yield from loadtests.rows(given.say)


def _simulation(given: Given) -> Iterator[Row]:
    from loadtests.bench import simulation

    yield from simulation.rows(given.say)


ROOMS: Mapping[str, Room] = {
    "timetable": _timetable,
    "realtime": _realtime,
    "notifications": _notifications,
    "loadtests": _loadtests,
    "simulation": _simulation,
}


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Names of rooms as given, or all of them; UsageError for one that is not."""
    for name in names:
        if name not in ROOMS:
            raise UsageError(
                f"there is no room '{name}' in the bench; choose from "
                f"{', '.join(ROOMS)}"
            )
    return tuple(dict.fromkeys(names)) or tuple(ROOMS)


@contextmanager
def _world(given: Given, scale: Scale = SMALL) -> Iterator[Rig]:
    """A stand-in world, and its variables in the environment of this process."""
    with rig(scale=scale, say=given.say) as up:
        before = dict(os.environ)
        os.environ.update(up.environment)
        try:
            yield up
        finally:
            os.environ.clear()
            os.environ.update(before)


def _need(program: str, what_for: str) -> None:
    if shutil.which(program) is None:
        raise UsageError(f"{what_for} needs {program}: apt-get install {program}")
