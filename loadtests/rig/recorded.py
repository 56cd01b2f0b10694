"""Recorded NSW files on today's clock: the same hours, moved by whole days.

Bodies of one feed follow each other at their recorded distance and begin anew after
the last, under fresh headers; their own delays are the baseline. Moved by whole days
of the Sydney calendar, so that a recorded 08:00 is 08:00 today, in or out of summer.
"""

import gzip
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from google.protobuf.message import DecodeError
from google.transit.gtfs_realtime_pb2 import FeedEntity

from loadtests.rig.clock import SYDNEY, Clock
from loadtests.rig.feeds import synthetic_bundle
from loadtests.rig.folder import RigError
from loadtests.rig.publication import Entity, line_of, split
from loadtests.rig.redate import (
    busiest_day,
    redate_bundle,
    route_types,
    runs_on,
    shifted,
)
from loadtests.rig.scales import Scale
from worker.policy.feeds import FEEDS, Feed

DEFAULT_MODE = "buses"
"""Files that name no mode are the buses': so is NSW's own archive of snapshots."""

LAST_GAP_S = 60
"""How long the last, or only, body of a loop is served."""

_LEFT_OUT = Scale(
    lines=8, trips_per_line=8, stops_per_trip=8, stops=200, shape_points=8
)
"""A bundle that policy asks for and nobody recorded is a tiny made-up one."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One recorded body: when it was written, and what it held."""

    timestamp: int
    entities: tuple[Entity, ...]


class Recorded:
    """A static archive and, if given, a folder of realtime bodies."""

    def __init__(
        self,
        static: Path,
        realtime: Path | None = None,
        *,
        today: date | None = None,
        feeds: Mapping[str, Feed] = FEEDS,
    ) -> None:
        self.static = static
        self._types = route_types(static)
        bodies = dict(_bodies(realtime, feeds)) if realtime else {}
        self.recorded_at = _recorded_at(static, bodies)
        recorded_day = self.recorded_at.date()
        if not runs_on(static, recorded_day):
            raise RigError(
                f"{static} has no service on {recorded_day}, the day of the realtime "
                "files: give an archive of that day"
            )
        today = today or datetime.now(SYDNEY).date()
        self.days = (today - recorded_day).days
        start = datetime.combine(today, self.recorded_at.time(), SYDNEY)
        self.shift_s = round(start.timestamp() - self.recorded_at.timestamp())
        self.clock = Clock.starting_at(start)
        self._started = self.clock.now()
        self._loops = {
            name: [_moved(body, self.days, self.shift_s) for body in named]
            for name, named in bodies.items()
        }

    @property
    def replays(self) -> bool:
        """Of an archive without realtime bodies nothing is published."""
        return bool(self._loops)

    def entities(self, feed: Feed, now: float) -> Iterable[Entity]:
        """The body whose turn it is; a feed that nobody recorded is empty."""
        loop = self._loops.get(feed.name)
        if not loop:
            return ()
        first, last = loop[0].timestamp, loop[-1].timestamp
        at = first + (now - self._started) % (last - first + LAST_GAP_S)
        return [body for body in loop if body.timestamp <= at][-1].entities

    def write_bundle(self, name: str, path: str, target: Path) -> None:
        """The recorded archive where its modes belong, a tiny one elsewhere."""
        trains_only = path.endswith("/sydneytrains")
        if trains_only != (self._types == {2}):
            synthetic_bundle(
                target,
                _LEFT_OUT,
                service_day=self.clock.today(),
                modes=lambda feed: (feed == "sydneytrains") == trains_only,
            )
        else:
            redate_bundle(self.static, target, self.days)


def _recorded_at(static: Path, bodies: Mapping[str, list[bytes]]) -> datetime:
    stamps = [split(named[0])[0] for named in bodies.values()]
    if stamps:
        return datetime.fromtimestamp(min(stamps), SYDNEY)
    day = busiest_day(static)
    return datetime(day.year, day.month, day.day, 8, tzinfo=SYDNEY)


def _bodies(
    folder: Path, feeds: Mapping[str, Feed]
) -> Iterator[tuple[str, list[bytes]]]:
    """The bodies of each feed, in the order of their headers."""
    if not folder.is_dir():
        raise RigError(
            f"there is no folder {folder}: REALTIME names one with .pb files"
        )
    found: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        try:
            contents = list(_contents(path))
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
            raise RigError(f"{path.name} is a damaged archive") from None
        for name, body in contents:
            try:
                timestamp, entities = split(body)
            except DecodeError:
                raise RigError(f"{name} is not a GTFS-Realtime message") from None
            feed = _feed_of(f"{folder.name}/{name}", entities, feeds)
            if feed is not None:
                found[feed].append((timestamp, body))
    if not found:
        raise RigError(f"{folder} holds no .pb or .pb.gz file with entities of a feed")
    for feed, stamped in found.items():
        yield feed, [body for _, body in sorted(stamped)]


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.suffix == ".gz":
        yield path.name, gzip.decompress(path.read_bytes())
    elif path.suffix in (".pb", ".bin", ".proto"):
        yield path.name, path.read_bytes()
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".pb"):
                    yield f"{path.stem}/{name}", archive.read(name)


def _feed_of(
    name: str, entities: list[FeedEntity], feeds: Mapping[str, Feed]
) -> str | None:
    """The feed whose kind the entities are and whose mode the name tells."""
    kinds = [
        kind
        for kind, part in (
            ("trip_updates", "trip_update"),
            ("vehicle_positions", "vehicle"),
            ("alerts", "alert"),
        )
        if entities and entities[0].HasField(part)
    ]
    rows = [feed for feed in feeds.values() if feed.kind in kinds]
    words = set(re.split(r"[^a-z]+", name.lower()))
    for feed in rows:
        mode = re.split(r"[^a-z]+", feed.path.rpartition("/gtfs/")[2])[1:]
        if set(mode) <= words or feed.kind == "alerts":
            return feed.name
    default = (feed.name for feed in rows if feed.path.endswith(f"/{DEFAULT_MODE}"))
    return next(default, None)


def _moved(body: bytes, days: int, shift_s: int) -> Snapshot:
    timestamp, entities = split(body)
    moved = []
    for entity in entities:
        _move(entity, days, shift_s)
        moved.append(Entity(line_of(entity), entity.SerializeToString()))
    return Snapshot(timestamp + shift_s, tuple(moved))


def _move(entity: FeedEntity, days: int, shift_s: int) -> None:
    """Dates by days, epoch times by the same days in seconds of the Sydney clock."""
    for part in ("trip_update", "vehicle"):
        if entity.HasField(part):
            held = getattr(entity, part)
            if len(held.trip.start_date) == 8:
                held.trip.start_date = shifted(held.trip.start_date, days)
            if held.timestamp:
                held.timestamp += shift_s
    for update in entity.trip_update.stop_time_update:
        if update.arrival.time:
            update.arrival.time += shift_s
        if update.departure.time:
            update.departure.time += shift_s
    for period in entity.alert.active_period:
        for bound in ("start", "end"):
            if getattr(period, bound):
                setattr(period, bound, getattr(period, bound) + shift_s)
