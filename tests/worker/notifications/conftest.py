"""Riders in a real database, and what happens to their lines."""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from loadtests.rig.population import populate
from worker.clients import postgres
from worker.notifications.disruptions import Disruptions
from worker.notifications.match import Matched, insert_notifications
from worker.policy import POLICY, Policy
from worker.policy.timetable import TIMETABLE
from worker.realtime.alerts import Alert, Informed
from worker.timetable.bundle import Trust
from worker.timetable.sync import Source, load_version

MONDAY_8 = datetime(2026, 6, 15, 8, 0, tzinfo=ZoneInfo("Australia/Sydney"))


@pytest.fixture
def now() -> datetime:
    """A Monday at 08:00 in Sydney."""
    return MONDAY_8


class Riders:
    """Writes riders as the app's backend would; reads what became of them."""

    def __init__(self, owner: psycopg.Connection[Any]) -> None:
        self.owner = owner
        self._numbers = count(1)

    def one(self, *favorites: dict[str, Any], **device: Any) -> UUID:
        """A rider with a device and these favorites."""
        user = uuid4()
        self.device(user, **device)
        for favorite in favorites:
            self.insert("favorites", user_id=user, **favorite)
        return user

    def device(self, user: UUID, **columns: Any) -> int:
        token = f"{next(self._numbers):064x}"
        return self.insert("devices", **{"user_id": user, "token": token, **columns})

    def insert(self, table: str, **columns: Any) -> int:
        names = ", ".join(columns)
        holes = ", ".join(f"%({name})s" for name in columns)
        statement = f"insert into app.{table} ({names}) values ({holes}) returning id"
        row = self.owner.execute(statement.encode(), columns).fetchone()
        assert row is not None
        return int(row[0])

    def told(self, user: UUID | None = None) -> list[dict[str, Any]]:
        """Notifications in the order they were made, of one rider or of all."""
        with self.owner.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            cursor.execute(
                "select * from app.notifications "
                "where %(user)s::uuid is null or user_id = %(user)s order by id",
                {"user": user},
            )
            return cursor.fetchall()


@pytest.fixture
def owner(database) -> Iterator[psycopg.Connection[Any]]:
    """The database as its owner, statement by statement."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def riders(owner) -> Riders:
    return Riders(owner)


def late(now: datetime, **changed: Any) -> dict[str, Any]:
    """A trip of line T1, ten minutes late at stop P1 in half an hour."""
    return {
        "kind": "delay",
        "feed": "sydneytrains_trips",
        "route_id": "T1",
        "trip_id": "trip-1",
        "service_date": "20260615",
        "stop_id": "P1",
        "delay_s": 600,
        "expected_at": int((now + timedelta(minutes=30)).timestamp()),
        "published_at": now.timestamp() - 10,
        **changed,
    }


def canceled(now: datetime, **changed: Any) -> dict[str, Any]:
    """A trip that does not run, as the feed says it: no stop, no time."""
    whole = {"kind": "canceled", "stop_id": "", "delay_s": 0, "expected_at": None}
    return late(now, **{**whole, **changed})


def alert(*informed: dict[str, str], **changed: Any) -> Alert:
    """Trackwork that concerns whom ``informed`` names."""
    anyone = Informed(
        agency_id="", route_id="", stop_id="", trip_id="", route_type=None,
        direction_id=None,
    )  # fmt: skip
    return Alert(
        **{
            "alert_id": "alert-1",
            "cause": "MAINTENANCE",
            "effect": "REDUCED_SERVICE",
            "periods": (),
            "informed": tuple(replace(anyone, **who) for who in informed),
            "header": {"en": "Trackwork"},
            "description": {"en": "Buses replace trains."},
            "url": {},
            **changed,
        }
    )


class Happen:
    """Makes what may happen; a fixture, since tests cannot import a conftest."""

    late = staticmethod(late)
    canceled = staticmethod(canceled)
    alert = staticmethod(alert)


@pytest.fixture
def happens() -> Happen:
    return Happen()


@pytest.fixture
def match(database) -> Callable[..., Matched]:
    """Matches delays and alerts in the matcher's role; commits."""

    def run(
        *delays: dict[str, Any],
        alerts: tuple[Alert, ...] = (),
        now: datetime = MONDAY_8,
        policy: Policy = POLICY,
        environment: str = "production",
        clock_offset_s: float = 0.0,
    ) -> Matched:
        disruptions = Disruptions()
        disruptions.add_alerts(alerts, policy.matching, now)
        if delays:
            names = list(delays[0])
            columns = {name: [row[name] for row in delays] for name in names}
            disruptions.add_delays(columns, policy.matching, now)
        with postgres.connect(database.url, "matcher", policy) as db:
            return insert_notifications(
                db,
                disruptions,
                policy=policy,
                environment=environment,
                now=now,
                clock_offset_s=clock_offset_s,
            )

    return run


FEED = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\n"
    "A,Sydney,http://a,Australia/Sydney\n",
    "stops.txt": "stop_id,stop_name,stop_lat,stop_lon,location_type,parent_station\n"
    "S,Central Station,-33.88,151.2,1,\nP1,Central Platform 1,-33.88,151.2,0,S\n"
    "X,Redfern,-33.89,151.19,0,\nY,Town Hall,-33.87,151.21,0,\n",
    "routes.txt": "route_id,agency_id,route_short_name,route_long_name,route_type\n"
    "T1,A,T1,North Shore Line,2\nT2,A,T2,Inner West,2\n",
    "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,"
    "sunday,start_date,end_date\nDAILY,1,1,1,1,1,1,1,20260101,20271231\n",
    "trips.txt": "route_id,service_id,trip_id,trip_headsign\n"
    "T1,DAILY,trip-1,Town Hall\nT1,DAILY,trip-2,Redfern\n",
    "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
    "trip-1,08:20:00,08:20:00,P1,1\ntrip-1,08:25:00,08:25:00,Y,2\n"
    "trip-2,08:20:00,08:20:00,P1,1\ntrip-2,08:25:00,08:25:00,X,2\n",
}


@pytest.fixture
def timetable(database, tmp_path: Path) -> None:
    """A loaded timetable: trip-1 runs from P1 to Y, trip-2 from P1 to X."""
    archive = tmp_path / "feed.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, text in FEED.items():
            zipped.writestr(name, text)
    source = Source(name="archive", path=archive, sha256="0" * 64, trust=Trust())
    with postgres.connect(database.url, "loader", POLICY) as db:
        load_version(
            db, [source], TIMETABLE, now=MONDAY_8, fence=lambda _: None, by_hand=True
        )


@pytest.fixture
def arrived(apple) -> Callable[[], list[dict[str, Any]]]:
    """Every push that reached the double, in order."""

    def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = apple.get("/arrivals", params={"after": after, "wait_s": 0}).json()
            if not page["arrivals"]:
                return found
            found += page["arrivals"]
            after = page["next"]

    return read


@pytest.fixture
def waiting(owner, match, happens) -> Callable[..., list[int]]:
    """Makes notifications that wait, one a rider; their ids."""

    def make(riders: int = 1, seed: int = 1) -> list[int]:
        populate(owner, users=riders, lines=["T1"], seed=seed)
        now = datetime.now(UTC)
        today = now.strftime("%Y%m%d")
        ids = match(happens.late(now, service_date=today), now=now).ids
        assert len(ids) == riders
        return ids

    return make
