"""What a match cycle and a push cost, in time and in private memory.

2,000 delayed trips of 20 stops, as Redis holds them, against riders with five favorites
each; pushes over one connection to nghttpd where it is installed, else to the double.
"""

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import psycopg

from loadtests.bench.memory import Work, above_idle
from loadtests.bench.row import Row
from loadtests.rig.certificate import write_certificate
from loadtests.rig.rig import Rig
from worker import env, keys
from worker.clients.apns import Apns, Notice, Said
from worker.notifications.service_days import today
from worker.policy import POLICY
from worker.realtime import delays
from worker.tasks.alert_matcher import alert_matcher
from worker.tasks.world import World, world

REPEATS = 5
_TRIPS, _STOPS_A_TRIP = 2_000, 20
_ROUTES, _STOPS_A_ROUTE, _STOPS = 600, 40, 30_000
_ZIPF = 0.75
_FAVORITES = 5
_CYCLES = ((10_000, 200.0), (100_000, 800.0))
_DEVICE = "ab" * 32
_PUSHES, _BATCH = 10_000, 1_000
_PAYLOAD = (
    b'{"aps":{"alert":{"title":"T1: 15 min late","body":"The 08:15 at Central is now '
    b'expected at 08:30."},"sound":"default"}}'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A server of pushes: its address, and the certificate to trust."""

    name: str
    url: str
    certificate: Path


def rows(up: Rig) -> Iterator[Row]:
    """Every line of the notifications room, in a world that is migrated."""
    os.environ.update(up.environment)
    with psycopg.connect(up.servers.admin_database_url, autocommit=True) as owner:
        for riders, target_ms in _CYCLES:
            yield _cycle(owner, riders, target_ms)
        _forget(owner)
        yield _memory("match_private_memory", _one_match, target_mib=40.0)
    with _apple(up) as there:
        yield _push(there)
        work = partial(_some_batches, there)
        yield _memory("push_private_memory", work, target_mib=25.0)


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


def _push(there: Target) -> Row:
    """One connection, as fast as it goes."""
    apns = _client(there)
    notices = _notices()
    times = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        _send(apns, notices)
        times.append((time.perf_counter() - began) / len(notices) * 1e6)
    apns.close()
    return Row(
        name=f"push_to_{there.name}",
        value=median(times[1:]),
        unit="us a push",
        repeats=REPEATS,
        target=200.0,  # 5,000 a second
    )


def _memory(name: str, work: Work, *, target_mib: float) -> Row:
    above_mib, peak_rss_mib = above_idle(work)
    return Row(
        name=name,
        value=above_mib,
        unit="MiB",
        repeats=1,
        target=target_mib,
        peak_rss_mib=round(peak_rss_mib, 1),
    )


def _one_match() -> None:
    alert_matcher(_world())


def _some_batches(there: Target) -> None:
    _send(_client(there), _notices())


def _send(apns: Apns, notices: list[Notice]) -> None:
    statuses: Counter[int] = Counter()
    for first in range(0, len(notices), _BATCH):
        batch = notices[first : first + _BATCH]
        said: list[Said | None] = [None] * len(batch)
        apns.send(batch, "x" * 200, said)
        statuses.update(each.status for each in said if each is not None)
    if sum(statuses.values()) - statuses[0] != len(notices):
        raise RuntimeError(f"the bench's pushes were not answered: {statuses}")


def _client(there: Target) -> Apns:
    push = replace(POLICY.push, send_budget_s=60.0)  # a slow machine is slow, not wrong
    return Apns(there.url, "au.example.transit", there.certificate, push)


def _notices() -> list[Notice]:
    random, now = Random(1), int(time.time())
    return [
        Notice(
            device_token=_DEVICE,
            apns_id=str(uuid.UUID(int=random.getrandbits(128))),
            collapse_id=random.randbytes(32).hex(),
            expires_at=now + POLICY.push.expiry_s,
            payload=_PAYLOAD,
        )
        for _ in range(_PUSHES)
    ]


@contextmanager
def _apple(up: Rig) -> Iterator[Target]:
    """nghttpd, which costs little itself; without it the double."""
    program = shutil.which("nghttpd")
    if program is None:
        there = up.environment
        certificate = Path(there["APNS_CA_FILE"])
        yield Target(name="double", url=there["APNS_BASE_URL"], certificate=certificate)
        return
    folder = up.folder / "nghttpd"
    device = folder / "3" / "device" / _DEVICE
    device.parent.mkdir(parents=True)
    device.touch()  # an empty file: 200, and no body
    certificate = write_certificate(folder)
    port = _free_port()
    server = subprocess.Popen(
        [
            *(program, f"--htdocs={folder}", "--max-concurrent-streams=1000"),
            *(str(port), str(folder / "apns.key"), str(certificate)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        _await_port(port)
        yield Target(
            name="nghttpd", url=f"https://127.0.0.1:{port}", certificate=certificate
        )
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await_port(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


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
