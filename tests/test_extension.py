"""To add is to add a row: a new one is found everywhere, with no other edit."""

import asyncio
import sys
from dataclasses import replace
from types import ModuleType

import pytest
import redis

from loadtests.rig.faults import Faults
from loadtests.rig.http import Request
from loadtests.rig.nsw import Nsw
from loadtests.rig.synthetic import Synthetic
from loadtests.rig.world import Outside
from simulation.layout import Layout
from worker import celeryconfig
from worker.app import make_app
from worker.env import Settings
from worker.operate import health, tables
from worker.policy import POLICY, Every, Policy, Pool, Task, vary
from worker.policy.alarms import Alarm
from worker.policy.feeds import CORE, Feed, planned_per_day
from worker.realtime import cadence
from worker.tasks.shell import SLOT, task

NAME = "ferry_counter"
ROW = Task(
    name=NAME,
    queue="ferries",
    tick=Every(period_s=30),
    expires_s=20,
    soft_time_limit_s=5,
    time_limit_s=8,
    max_retries=0,
    ack="early",
    reason="A task that only this test knows.",
)
POOL = Pool(
    name="wharf",
    queues=("ferries",),
    children=2,
    max_tasks_per_child=50,
    max_memory_per_child_mib=100,
    reason="A pool that only this test knows.",
)
FEED = Feed(
    name="monorail_trips",
    path="/v1/gtfs/realtime/monorail",
    kind="trip_updates",
    rank=0,
    intervals=CORE,
    stale_s=90,
    reason="A feed that only this test knows.",
)
ALARM = Alarm(
    name="wharf_waits",
    sample="oldest_age_s",
    label="ferries",
    threshold=10.0,
    sustain_s=60,
    kind="scaling",
    action="Add a wharf.",
    reason="A scaling rule that only this test knows.",
)


@pytest.fixture(scope="module")
def extended() -> Policy:
    return replace(
        POLICY,
        tasks={**POLICY.tasks, NAME: ROW},
        pools={**POLICY.pools, POOL.name: POOL},
        alarms={**POLICY.alarms, ALARM.name: ALARM},
    )


def test_a_task_row_is_routed_limited_and_ticked(extended):
    config = celeryconfig.settings(extended, None)

    assert config["task_routes"][NAME] == {"queue": "ferries"}
    assert config["task_annotations"][NAME]["time_limit"] == 8
    assert config["task_annotations"][NAME]["expires"] == 20
    tick = config["beat_schedule"][NAME]
    assert (tick["task"], tick["options"]["queue"]) == (NAME, "ferries")


def test_a_queue_exists_because_a_pool_serves_it(extended):
    queues = celeryconfig.settings(extended, None)["task_queues"]

    assert "ferries" in {queue.name for queue in queues}
    words = celeryconfig.worker_arguments(POOL)
    assert {"--queues=ferries", "--concurrency=2"} <= set(words)


def test_a_task_module_is_included_because_of_its_row(extended, monkeypatch):
    module = ModuleType(f"worker.tasks.{NAME}")
    module.ferry_counter = task(NAME, once_per=SLOT)(lambda world: {"ferries": 3})
    monkeypatch.setitem(sys.modules, module.__name__, module)

    app = make_app(Settings(), extended)

    assert set(extended.tasks) <= set(app.tasks)
    assert app.tasks[NAME].time_limit == 8


def test_a_limit_has_one_home():
    varied = vary(POLICY, "tasks.alert_matcher.time_limit_s", 61)

    annotation = celeryconfig.settings(varied, None)["task_annotations"]
    assert annotation["alert_matcher"]["time_limit"] == 61
    assert Layout.of(varied).tasks["alert_matcher"].time_limit_s == 61
    assert POLICY.tasks["alert_matcher"].time_limit_s != 61


def test_the_model_knows_a_new_task_and_pool(extended):
    layout = Layout.of(extended)

    assert layout.tasks[NAME] == ROW
    assert layout.children == Layout.of(POLICY).children + POOL.children


def test_tables_and_diagram_show_new_rows(extended):
    tasks = tables.table("tasks", extended).markdown()
    pools = tables.table("pools", extended).markdown()
    alarms = tables.table("alarms", extended).markdown()

    assert f"| {NAME} | ferries |" in tasks
    assert "| wharf | ferries | 2 |" in pools
    assert "| wharf_waits | scaling |" in alarms


def test_health_watches_new_rows(extended, redis_url):
    with redis.Redis.from_url(redis_url) as cache:
        checks = {check.name for check in health.every(cache, extended)}

    assert {"pool_wharf", f"task_{NAME}", "alarm_wharf_waits"} <= checks


def test_a_feed_row_is_asked_for_counted_and_served(tmp_path):
    feeds = {FEED.name: FEED}

    asked = cadence.due(
        feeds,
        {},
        now_s=1e9,
        period="peak",
        disrupted=False,
        slowed=False,
        limits=POLICY.realtime,
        tick=POLICY.tasks["gtfs_rt_poller"].tick,
    )
    outside = Outside(source=Synthetic(), feeds=feeds)
    nsw = Nsw(outside, {}, tmp_path, "key", Faults())
    headers = {"authorization": "apikey key"}
    request = Request(method="GET", path=FEED.path, query={}, headers=headers)
    answer = asyncio.run(nsw(request))

    assert asked == [FEED]
    assert answer.status == 200
    planned = planned_per_day({**POLICY.feeds, **feeds}, POLICY.realtime)
    assert planned > planned_per_day(POLICY.feeds, POLICY.realtime)
