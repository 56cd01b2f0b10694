"""Delays and pushes as the switchboard tells them, and links that break."""

import threading
import time
from types import SimpleNamespace

import httpx
import psycopg
import pytest
import redis
from google.transit.gtfs_realtime_pb2 import FeedMessage

from loadtests.options import described
from loadtests.rig.rig import Rig
from worker.errors import UsageError
from worker.policy import POLICY


def delays_of(nsw: httpx.Client, line: str) -> set[int]:
    found: set[int] = set()
    for feed in POLICY.feeds.values():
        if feed.kind == "trip_updates" and feed.name == "buses_trips":
            for entity in FeedMessage.FromString(nsw.get(feed.path).content).entity:
                if entity.trip_update.trip.route_id == line:
                    updates = entity.trip_update.stop_time_update
                    found |= {update.arrival.delay for update in updates}
    return found


def test_the_state_names_service_time_and_lines_with_trips(
    world: Rig, switchboard: httpx.Client
) -> None:
    state = switchboard.get("/state").json()

    assert state["clock_offset_s"] == world.clock_offset_s
    assert abs(state["now"] - time.time() - world.clock_offset_s) < 5
    assert len(state["lines"]) == len(set(state["lines"])) >= 80


def test_plain_locust_replays_nothing_in_a_city_that_is_made_up(
    world: Rig, switchboard: httpx.Client
) -> None:
    options = SimpleNamespace(
        control_url=world.control_url,
        i_own_this_host=False,
        scenario="replay",
        num_users=5,
        run_time=120,
        seed="1",
        groups_per_s="",
    )

    with pytest.raises(UsageError, match="scenario replay needs what NSW published"):
        described(options)

    options.scenario = "disruption"
    assert described(options).scenario.name == "disruption"


def test_a_delay_is_served_from_the_instant_it_is_published(
    nsw: httpx.Client, switchboard: httpx.Client
) -> None:
    lines = switchboard.get("/state").json()["lines"]
    line = next(each for each in lines if each[:2] == "24")
    before = max(delays_of(nsw, line))
    asked_at = time.time()

    event = switchboard.post(
        "/events", json={"line": line, "delay_s": 900, "duration_s": 60}
    ).json()

    assert asked_at <= event["published_at"] <= time.time()
    assert before < 900 <= min(delays_of(nsw, line))
    assert switchboard.get("/events").json() == {"events": [event]}
    switchboard.delete("/events")
    assert max(delays_of(nsw, line)) == before


def test_a_delay_of_an_unknown_line_is_refused(switchboard: httpx.Client) -> None:
    answer = switchboard.post("/events", json={"line": "B52", "delay_s": 900})

    assert answer.status_code == 400
    assert "B52" in answer.json()["error"]


def test_waiting_for_arrivals_ends_with_the_first_or_with_patience(
    switchboard: httpx.Client,
) -> None:
    begun = time.monotonic()

    answer = switchboard.get("/arrivals", params={"after": 0, "wait_s": 0.3}).json()

    assert answer == {"next": 0, "arrivals": []}
    assert time.monotonic() - begun >= 0.3


def test_an_unknown_door_lists_the_known(switchboard: httpx.Client) -> None:
    answer = switchboard.get("/door")

    assert answer.status_code == 404
    assert "GET /state" in answer.json()["error"]


def test_a_cut_link_refuses_and_a_mended_one_carries(
    world: Rig, switchboard: httpx.Client
) -> None:
    url = world.environment["REDIS_URL"]
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        client.set("k", "v", ex=60)

        switchboard.post("/faults", json={"target": "redis", "kind": "cut"})
        with pytest.raises(redis.ConnectionError):
            client.get("k")
        switchboard.delete("/faults")

        assert client.get("k") == b"v"


def test_a_held_link_carries_nothing_and_keeps_what_was_sent(
    world: Rig, switchboard: httpx.Client
) -> None:
    with psycopg.connect(world.environment["DATABASE_URL"], autocommit=True) as db:
        switchboard.post("/faults", json={"target": "postgres", "kind": "hold"})
        answers: list[object] = []
        asking = threading.Thread(
            target=lambda: answers.append(db.execute("select 1").fetchone())
        )
        asking.start()
        asking.join(0.3)
        assert answers == []

        switchboard.delete("/faults")
        asking.join(10)

        assert answers == [(1,)]


def test_a_reset_link_breaks_once(world: Rig, switchboard: httpx.Client) -> None:
    db = psycopg.connect(world.environment["DATABASE_URL"], autocommit=True)

    switchboard.post("/faults", json={"target": "postgres", "kind": "reset"})

    with pytest.raises(psycopg.OperationalError):
        db.execute("select 1")
    db.close()
    with psycopg.connect(world.environment["DATABASE_URL"]) as again:
        assert again.execute("select 1").fetchone() == (1,)
