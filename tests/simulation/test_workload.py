from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from simulation.layout import Layout
from simulation.scenario import Event, Scenario
from simulation.tables import Tables
from simulation.workload import Happenings, slots, stream, tables_of
from worker.errors import UsageError
from worker.policy import POLICY, Daily, Every, vary

SLOT = 1_800_000_000.0


@pytest.fixture
def happenings():
    return Happenings(start_at=SLOT + 2, end_at=SLOT + 400, onsets=((SLOT + 9, 40),))


def test_streams_of_different_names_do_not_touch():
    alone = stream(1, "a").random(5)
    stream(1, "b").random(1_000)

    assert (stream(1, "a").random(5) == alone).all()
    assert (stream(1, "b").random(5) != alone).any()


def test_a_tasks_nth_message_has_the_same_demand_under_any_policy(truth, happenings):
    first = tables_of(happenings, truth, Layout.of(POLICY), seed=3)
    other = Layout.of(vary(vary(POLICY, "pools.bg.children", 7), "push.batch_size", 9))
    second = tables_of(happenings, truth, other, seed=3)

    for name, drawn in first.streams.items():
        assert (drawn.io_s == second.streams[name].io_s).all()
        assert (drawn.cpu_s == second.streams[name].cpu_s).all()


def test_replications_differ_and_repeat(truth, happenings):
    layout = Layout.of(POLICY)
    one, again, two = (
        tables_of(happenings, truth, layout, replication=k) for k in (1, 1, 2)
    )

    assert (one.tick_at == again.tick_at).all()
    assert (one.tick_at != two.tick_at).any()


def test_demands_are_drawn_jointly(truth, happenings):
    tables = tables_of(happenings, truth, Layout.of(POLICY), uncertain=False)
    demand = truth.demands["gtfs_rt_poller"]
    rows = set(zip(demand.io_s, demand.cpu_s, demand.rss_mib, strict=True))

    drawn = tables.streams["gtfs_rt_poller"]

    assert set(zip(drawn.io_s, drawn.cpu_s, drawn.rss_mib, strict=True)) <= rows


def test_ticks_are_due_at_multiples_of_their_period():
    assert slots(Every(period_s=15), 1_000.0, 1_040.0).tolist() == [1005, 1020, 1035]


@pytest.mark.parametrize(
    ("day", "utc_hour"),
    [((2026, 7, 1), 19), ((2026, 12, 1), 18)],
    ids=["winter", "daylight saving"],
)
def test_a_daily_tick_follows_the_clock_of_sydney(day, utc_hour):
    start = datetime(*day, tzinfo=UTC).timestamp()

    (due,) = slots(Daily(hour=5, minute=15), start, start + 86_400)

    assert datetime.fromtimestamp(due, UTC).strftime("%H:%M") == f"{utc_hour}:15"


def test_a_scenario_becomes_onsets_windows_and_syncs():
    scenario = Scenario(
        name="x", question="?", users=10, duration_s=100.0, lines=3,
        onset_every_s=20.0,
        extra_events=(
            Event(at_s=50.0, kind="apns_slow", value=8.0, duration_s=10.0),
            Event(at_s=55.0, kind="sync"),
            Event(at_s=60.0, kind="delay", value=900.0, duration_s=60.0, line=-1),
        ),
    )  # fmt: skip

    seen = Happenings.of(scenario, start_at=SLOT)

    assert [(w.kind, w.start_at - SLOT, w.end_at - SLOT) for w in seen.windows] == [
        ("apns_slow", 50.0, 60.0)
    ]
    assert seen.syncs == (SLOT + 55.0,)
    riders = [riders for _, riders in seen.onsets]
    assert sorted(riders) == [3, 4, 10] or sorted(riders) == [3, 3, 10]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"end_at": SLOT}, "must end after it starts"),
        ({"tick_at": [SLOT + 2, SLOT + 1]}, "tick_at is not sorted"),
        ({"tick_at": [SLOT + 2, float("nan")]}, "tick_at holds NaN"),
        ({"end_at": float("nan")}, "must end after it starts"),
        ({"end_at": SLOT - 1}, "must end after it starts"),
        ({"onset_at": (SLOT,), "onset_riders": (-3,)}, "never a negative number"),
        ({"blind": 1.5}, "shares between 0 and 1"),
        ({"ticking": ("nobody",)}, "no demand is known for nobody"),
        ({"onset_riders": ()}, "every onset needs its riders"),
    ],
)
def test_contradictory_tables_are_refused(truth, happenings, change, says):
    whole = tables_of(happenings, truth, Layout.of(POLICY))
    values = {name: getattr(whole, name) for name in Tables.__dataclass_fields__}
    values |= {
        "tick_at": [SLOT + 1, SLOT + 2],
        "tick_task": [0, 0],
        "ticking": ("upkeep",),
        "start_at": SLOT,
    }

    with pytest.raises(UsageError, match=says):
        Tables(**{**values, **change})


def test_a_stream_refuses_nan(truth, happenings):
    demand = truth.demands["upkeep"]
    broken = type(demand)(task="upkeep", io_s=(np.nan,), cpu_s=(0.1,), rss_mib=(50.0,))
    tampered = {**truth.demands, "upkeep": broken}
    calibration = type(truth)(
        **{
            name: tampered if name == "demands" else getattr(truth, name)
            for name in truth.__dataclass_fields__
        }
    )

    with pytest.raises(UsageError, match="io_s holds NaN"):
        tables_of(happenings, calibration, Layout.of(POLICY))


@pytest.mark.parametrize(
    "told",
    [
        {"groups": {"published_at": [1.0, 2.0], "notifications": [5]}},
        {"groups": [1, 2]},
        {"events": [{"published_at": float("nan"), "riders": 4}]},
        {"events": [{"published_at": 1.0, "riders": -4}]},
        {"happened": [{"kind": "sync"}]},
    ],
)
def test_a_foreign_list_of_happenings_is_refused(make_run, told):
    run = make_run(duration_s=120.0)

    with pytest.raises(UsageError, match=r"run\.json tells of"):
        Happenings.recorded(replace(run, about={**run.about, **told}))
