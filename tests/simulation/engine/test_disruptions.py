"""Deploys, deaths, a broker out of reach, a beat that is away."""

import pytest

from simulation.engine.beat import ticks as due
from simulation.tables import Machine, Tables, Window
from worker.errors import UsageError
from worker.records import Outcome

from .conftest import demands, job, pool


def told(world):
    return [
        (line.outcome, line.started_at, line.finished_at)
        for line in world.journal.lines
    ]


def test_a_deploy_waits_a_little_then_gives_back_what_was_acknowledged_late(run_world):
    deploy = Window(start_at=10.0, end_at=40.0, kind="deploy")
    ticks = [(0.0, "job"), (8.0, "short"), (12.0, "job")]

    world = run_world(
        ticks,
        {"job": demands([100.0, 7.0]), "short": demands(4.0)},
        tasks=[job(ack="late"), job("short")],
        pools=[pool(children=2)],
        windows=[deploy],
        broker={"soft_shutdown_s": 5},
    )

    assert told(world)[:2] == [
        (Outcome.SUCCEEDED, 8.0, 12.0),  # within the soft shutdown
        (Outcome.LOST, 0.0, 15.0),  # beyond it
    ]
    # The new replica takes both at once: the one given back, and the new one.
    assert sorted(start for _, start, _ in told(world)[2:]) == [40.0, 40.0]
    assert world.settling.redelivered == 1


def test_a_deploy_of_one_pool_leaves_the_other_alone(run_world):
    tasks = [job("a", queue="qa"), job("b", queue="qb")]
    pools = [pool("one", queues=("qa",)), pool("two", queues=("qb",))]
    deploy = Window(start_at=5.0, end_at=50.0, kind="deploy", pool="one")

    world = run_world(
        [(10.0, "a"), (10.0, "b")],
        {"a": demands(1.0), "b": demands(1.0)},
        tasks=tasks,
        pools=pools,
        windows=[deploy],
    )

    assert {line.task: line.started_at for line in world.journal.lines} == {
        "a": 50.0,
        "b": 10.0,
    }


def test_a_killed_child_frees_the_core_it_used(run_world):
    died = Window(start_at=1.0, end_at=100.0, kind="kill", pool="one")
    pools = [pool("one", queues=("qa",)), pool("two", queues=("qb",))]

    world = run_world(
        [(0.0, "a"), (0.0, "b")],
        {"a": demands(0.0, 10.0), "b": demands(0.0, 10.0)},
        tasks=[job("a", queue="qa"), job("b", queue="qb")],
        pools=pools,
        windows=[died],
        cores=1.0,
    )

    # Half a core for one second, then all of it.
    assert told(world)[-1] == (Outcome.SUCCEEDED, 0.0, 10.5)


def test_while_redis_is_cut_ticks_are_lost_and_none_is_taken(run_world):
    cut = Window(start_at=10.0, end_at=40.0, kind="redis_cut")
    ticks = [(5.0, "job"), (6.0, "job"), (20.0, "job"), (45.0, "job")]

    world = run_world(ticks, {"job": demands(6.0)}, windows=[cut])

    assert told(world) == [
        (Outcome.FAILED, 5.0, 11.0),  # it could not write what it found
        (Outcome.SUCCEEDED, 40.0, 46.0),  # it waited in Redis
        (Outcome.SUCCEEDED, 46.0, 52.0),
    ]
    assert world.broker.published == 3


def test_an_acknowledgement_that_was_cut_off_hands_the_message_out_again(run_world):
    cut = Window(start_at=2.0, end_at=8.0, kind="redis_cut")

    world = run_world(
        [(0.0, "job")],
        {"job": demands(4.0)},
        tasks=[job(ack="late")],
        windows=[cut],
        broker={"visibility_timeout_s": 30, "restore_interval_s": 8},
    )

    assert [start for _, start, _ in told(world)] == [0.0, 38.0]


def test_beat_keeps_no_memory_but_sends_the_slot_that_is_due():
    away = Window(start_at=10.0, end_at=50.0, kind="beat_down")
    tables = Tables.of(
        [(0.0, "often"), (15.0, "often"), (20.0, "rare"), (30.0, "often"),
         (45.0, "often"), (60.0, "often")],
        {"often": demands(1.0), "rare": demands(1.0)},
        Machine(v_eff=1.0),
        start_at=0.0,
        end_at=100.0,
    )  # fmt: skip
    tasks = {"often": job("often", expires_s=12), "rare": job("rare", expires_s=20)}

    object.__setattr__(tables, "windows", (away,))

    # 15 s and 30 s were missed for good, "rare" is older than it may be by then.
    assert due(tables, tasks) == [(0.0, "often"), (50.0, "often"), (60.0, "often")]


def test_overlapping_disruptions_end_with_the_last(run_world):
    windows = [
        Window(start_at=5.0, end_at=20.0, kind="kill"),
        Window(start_at=10.0, end_at=60.0, kind="deploy"),
    ]

    world = run_world([(12.0, "job")], {"job": demands(1.0)}, windows=windows)

    assert [start for _, start, _ in told(world)] == [60.0]


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ({"kind": "earthquake"}, "knows no window 'earthquake'"),
        ({"end_at": 0.5}, "must end after it starts"),
        ({"end_at": float("nan")}, "must end after it starts"),
        ({"value": float("nan")}, "no seconds"),
    ],
)
def test_a_contradictory_window_is_refused(window, says):
    with pytest.raises(UsageError, match=says):
        Window(**{"start_at": 1.0, "end_at": 2.0, "kind": "kill", **window})
