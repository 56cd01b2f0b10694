"""The made-up NSW in realtime: the trips of the synthetic timetable, as they run."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from google.transit.gtfs_realtime_pb2 import (
    Alert,
    FeedEntity,
    TripDescriptor,
    TripUpdate,
    VehiclePosition,
)

from loadtests.rig.city import City, Line, Trip
from loadtests.rig.clock import Clock, midnight, service_days
from loadtests.rig.feeds import synthetic_bundle
from loadtests.rig.publication import Entity
from loadtests.rig.scales import MODES, SERVICES, SMALL, Scale
from worker.policy.feeds import Feed

AHEAD_S = 1800
"""Trips enter the feed half an hour before they start."""

PASSED_S = 120
"""A stop leaves the trip's updates two minutes after it was passed."""

KEPT_S = 60
"""A trip's entity is written anew once a minute; each trip at its own second."""

ALERT_EVERY = 25
"""One line in so many has a service alert."""


@dataclass(kw_only=True)
class Synthetic:
    """A city whose trips keep to time but for a minute or two."""

    scale: Scale = SMALL
    seed: int = 1
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.city = City(self.scale, self.seed)
        self._lines = list(self.city.lines())
        self._kept: dict[tuple[str, str, date], tuple[float, Entity]] = {}
        self._by_mode = {
            mode.feed: [line for line in self._lines if line.mode is mode]
            for mode in MODES
        }

    @property
    def replays(self) -> bool:
        """Nothing of it was ever published by NSW."""
        return False

    def write_bundle(self, name: str, path: str, target: Path) -> None:
        """A bundle of the modes that its path names, else the complete one."""
        today = self.clock.today()
        named = [mode.feed for mode in MODES if path.endswith(f"/{mode.feed}")]
        synthetic_bundle(
            target,
            self.scale,
            seed=self.seed,
            service_day=today,
            modes=lambda feed: not named or feed in named,
            foreign_trains=not named,
        )

    def entities(self, feed: Feed, now: float) -> Iterator[Entity]:
        """The trips of the feed's mode that run or are about to."""
        mode = feed.path.partition("/gtfs/")[2].partition("/")[2]
        if feed.kind == "alerts":
            yield from self._alerts(now)
            return
        make = self._vehicle
        if feed.kind == "trip_updates":
            make = self._kept_update
            self._kept = {k: v for k, v in self._kept.items() if v[0] > now}
        days = [(day, at, _services_of(day)) for day, at in service_days(now)]
        for line in self._by_mode.get(mode, []):
            for day, passed_s, services in days:
                for trip in line.trips:
                    if (
                        trip.start_s - AHEAD_S <= passed_s <= trip.end_s
                        and trip.service in services
                    ):
                        entity = make(line, trip, day, passed_s)
                        if entity is not None:
                            yield entity

    def _kept_update(
        self, line: Line, trip: Trip, day: date, passed_s: float
    ) -> Entity | None:
        key = (line.route_id, trip.trip_id, day)
        held = self._kept.get(key)
        if held is not None:
            return held[1]
        entity = self._update(line, trip, day, passed_s)
        if entity is not None:
            own_second = (line.number * 7 + trip.start_s // 60) % KEPT_S
            made_at = midnight(day) + passed_s
            until = made_at + KEPT_S - (made_at - own_second) % KEPT_S
            self._kept[key] = (until, entity)
        return entity

    def _update(
        self, line: Line, trip: Trip, day: date, passed_s: float
    ) -> Entity | None:
        entity = FeedEntity(id=_entity_id(line, trip))
        _describe(entity.trip_update.trip, line, trip, day)
        begins = midnight(day) + trip.start_s
        delay_s = self._drift_s(line, trip, passed_s)
        trains = line.mode.route_type == 2
        updates = entity.trip_update.stop_time_update
        last = len(trip.arrivals) - 1
        for index, arrival in enumerate(trip.arrivals):
            if trip.start_s + arrival + delay_s < passed_s - PASSED_S:
                continue
            dwell_s = line.mode.dwell_s if 0 < index < last else 0
            update: TripUpdate.StopTimeUpdate = updates.add(
                stop_id=self.city.stop_id(trip.pattern.stops[index])
            )
            update.arrival.delay = update.departure.delay = delay_s
            update.schedule_relationship = update.SCHEDULED
            if not trains:
                update.stop_sequence = index + 1
                update.arrival.time = round(begins + arrival + delay_s)
                update.departure.time = round(begins + arrival + dwell_s + delay_s)
        return Entity(line.route_id, entity.SerializeToString()) if updates else None

    def _vehicle(
        self, line: Line, trip: Trip, day: date, passed_s: float
    ) -> Entity | None:
        since = passed_s - trip.start_s
        if since < 0:
            return None
        entity = FeedEntity(id=_entity_id(line, trip))
        _describe(entity.vehicle.trip, line, trip, day)
        index = sum(arrival <= since for arrival in trip.arrivals) - 1
        position = self.city.position(trip.pattern.stops[index])
        entity.vehicle.position.latitude = position[0]
        entity.vehicle.position.longitude = position[1]
        entity.vehicle.position.bearing = 90.0 * (line.number % 4)
        entity.vehicle.vehicle.id = entity.id
        entity.vehicle.timestamp = round(midnight(day) + passed_s)
        entity.vehicle.occupancy_status = VehiclePosition.MANY_SEATS_AVAILABLE
        return Entity(line.route_id, entity.SerializeToString())

    def _drift_s(self, line: Line, trip: Trip, passed_s: float) -> int:
        """Seconds late: up to two minutes, slowly changing, different by trip."""
        phase = (line.number * 31 + trip.start_s // 60) % 97
        late = 45 + 60 * math.sin(phase + passed_s / 900)
        return max(0, round(late / 5) * 5)

    def _alerts(self, now: float) -> Iterator[Entity]:
        for line in self._lines[::ALERT_EVERY]:
            entity = FeedEntity(id=f"ems-{self.seed}-{line.number}")
            entity.alert.active_period.add(
                start=round(now) // 86400 * 86400 - 86400,
                end=round(now) // 86400 * 86400 + 7 * 86400,
            )
            entity.alert.informed_entity.add(
                agency_id=line.mode.agency, route_id=line.route_id
            )
            entity.alert.cause = Alert.MAINTENANCE
            entity.alert.effect = Alert.MODIFIED_SERVICE
            for text, words in (
                (entity.alert.header_text, f"Trackwork affects line {line.name}"),
                (entity.alert.description_text, "Allow extra travel time."),
            ):
                text.translation.add(text=words, language="en")
            yield Entity("", entity.SerializeToString())


def _services_of(day: date) -> set[str]:
    return {name for name, flags, _ in SERVICES if flags[day.weekday()] == "1"}


def _entity_id(line: Line, trip: Trip) -> str:
    return f"{line.number}_{trip.trip_id}"


def _describe(descriptor: TripDescriptor, line: Line, trip: Trip, day: date) -> None:
    descriptor.trip_id = trip.trip_id
    descriptor.route_id = line.route_id
    descriptor.schedule_relationship = TripDescriptor.SCHEDULED
    if line.mode.route_type == 2:
        return  # the feed of Sydney Trains names neither date nor time
    descriptor.start_date = day.strftime("%Y%m%d")
    descriptor.start_time = (
        f"{trip.start_s // 3600:02d}:{trip.start_s // 60 % 60:02d}:00"
    )
