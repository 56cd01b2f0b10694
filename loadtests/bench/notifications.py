"""What a match cycle and a push cost, in time and in private memory.

2,000 delayed trips of 20 stops, as Redis holds them, against riders with five favorites
each; the pushes are those of `pushes`.
"""

import os
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from random import Random
from statistics import median
from typing import Any

import psycopg

from loadtests.bench import pushes
from loadtests.bench.memory import memory_row
from loadtests.bench.row import Row
from loadtests.rig.rig import Rig
from worker import env, keys
from worker.notifications.service_days import today
from worker.realtime import delays
from worker.tasks.alert_matcher import alert_matcher
from worker.tasks.world import World, world

REPEATS = 5
_TRIPS, _STOPS_A_TRIP = 2_000, 20
_ROUTES, _STOPS_A_ROUTE, _STOPS = 600, 40, 30_000
_ZIPF = 0.75
_FAVORITES = 5
_CYCLES = ((10_000, 200.0), (100_000, 800.0))


def rows(up: Rig) -> Iterator[Row]:
    """Every line of the notifications room, in a world that is migrated."""
    os.environ.update(up.environment)
    with psycopg.connect(up.servers.admin_database_url, autocommit=True) as owner:
        for riders, target_ms in _CYCLES:
            yield _cycle(owner, riders, target_ms)
        _forget(owner)
        yield memory_row("match_private_memory", _one_match, target_mib=40.0)
    yield from pushes.rows(up)


def _cycle(owner: psycopg.Connection[Any], riders: int, target_ms: float) -> Row:
    """From Redis to committed rows, all of them new."""
    here = _world()
    _write_riders(owner, riders)
    _write_delays(here)
    times = []
    for _ in range(1 + REPEATS):
        _forget(owner)
        began = time.perf_counter()
        said = alert_matcher(here)
        times.append((time.perf_counter() - began) * 1e3)
        if said["notifications"] < riders // 100:
            raise RuntimeError(f"the bench matched too few riders: {said}")
    return Row(
        name=f"match_cycle_{riders}_riders",
        value=median(times[1:]),
        unit="ms",
        repeats=REPEATS,
        target=target_ms,
    )


def _one_match() -> None:
    alert_matcher(_world())


def _world() -> World:
    settings = env.settings()
    return world(settings.policy(), settings, lambda *_: None)


def _forget(owner: psycopg.Connection[Any]) -> None:
    owner.execute("truncate app.notifications")


def _write_riders(owner: psycopg.Connection[Any], riders: int) -> None:
    """Riders with a device each; nearly every favorite is a line at a stop."""
    random = Random(1)
    owner.execute("truncate app.devices, app.favorites, app.notifications")
    with owner.cursor() as cursor:
        with cursor.copy("copy app.devices (user_id, token) from stdin") as copy:
            for rider in range(riders):
                copy.write_row((uuid.UUID(int=rider + 1), f"{rider:064x}"))
        with cursor.copy(
            "copy app.favorites (user_id, route_id, stop_id, from_minute, to_minute, "
            "weekdays, threshold_s) from stdin"
        ) as copy:
            stops = [_stops_of(line) for line in range(_ROUTES)]
            lines = _lines(random, riders * _FAVORITES)
            for number, line in enumerate(lines):
                opens = random.randrange(0, 1_380)
                stop = None if number % 20 == 0 else random.choice(stops[line])
                copy.write_row(
                    (
                        *(uuid.UUID(int=number % riders + 1), f"r{line}", stop),
                        *(opens, opens + 60, 31 if number % 3 else 127),
                        random.choice((600, 900, 1_200)),
                    )
                )
    owner.execute("vacuum analyze app.favorites")
    owner.execute("analyze app.devices")


def _write_delays(here: World) -> None:
    """What the poller leaves: the worst for each line at a stop, and of each trip."""
    random, now = Random(2), here.now()
    rows: list[dict[str, object]] = []
    worst: dict[tuple[object, ...], int] = {}
    for trip, line in enumerate(_lines(random, _TRIPS)):
        first = random.randrange(_STOPS_A_ROUTE - _STOPS_A_TRIP + 1)
        late_s = 300 + int(random.expovariate(1 / 400))
        at = int(now.timestamp()) + random.randrange(60, 3_600)
        calls = _stops_of(line)[first : first + _STOPS_A_TRIP]
        for call, stop in enumerate(calls):
            row = _delay(now, f"r{line}", f"trip{trip}", stop)
            row["delay_s"] = late_s + random.randrange(60)
            row["expected_at"] = at + call * 120
            for key in ((line, stop), (trip,)):
                held = worst.get(key)
                if held is None or row["delay_s"] > rows[held]["delay_s"]:
                    worst[key] = len(rows)
            rows.append(row)
    kept = [rows[number] for number in sorted(set(worst.values()))]
    columns = {name: [row[name] for row in kept] for name in kept[0]}
    here.redis.set(keys.live("buses_trips", "delays"), delays.pack(columns))


def _delay(now: datetime, route_id: str, trip_id: str, stop_id: str) -> dict[str, Any]:
    return {
        "kind": "delay",
        "feed": "buses_trips",
        "route_id": route_id,
        "trip_id": trip_id,
        "service_date": today(now),
        "stop_id": stop_id,
        "published_at": now.timestamp(),
    }


def _lines(random: Random, count: int) -> list[int]:
    """Lines as riders choose them: a few are used by most."""
    weights = [1 / (rank + 1) ** _ZIPF for rank in range(_ROUTES)]
    return random.choices(range(_ROUTES), weights, k=count)


def _stops_of(line: int) -> list[str]:
    return [f"s{n}" for n in Random(line).sample(range(_STOPS), _STOPS_A_ROUTE)]
