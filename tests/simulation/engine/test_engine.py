import pytest

from simulation.tables import Machine
from worker.records import Outcome

from .conftest import demands, job, pool


def lines(world, task=None):
    return [line for line in world.journal.lines if task in (None, line.task)]


def test_messages_wait_for_a_free_child_first_in_first_out(run_world):
    world = run_world([(0.0, "job"), (1.0, "job"), (2.0, "job")], {"job": demands(5.0)})

    assert [line.started_at for line in lines(world)] == [0.0, 5.0, 10.0]
    assert [line.number for line in lines(world)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("deaf", "ended"),
    [(False, 10.0), (True, 13.0)],
    ids=["soft limit is heard", "hard limit kills the deaf"],
)
@pytest.mark.parametrize("kind", ["io_s", "cpu_s"])
def test_a_runaway_is_stopped_and_not_tried_again(run_world, deaf, ended, kind):
    world = run_world(
        [(0.0, "job"), (0.0, "job")],
        {"job": demands(**{kind: [50.0, 1.0]}, deaf=deaf)},
        tasks=[job(soft_time_limit_s=10, time_limit_s=13, ack="late", max_retries=3)],
    )

    first, second = lines(world)
    assert (first.outcome, first.finished_at) == (Outcome.TIMED_OUT, ended)
    # A killed child must be replaced before the next message starts.
    assert second.started_at == ended + (2.0 if deaf else 0.0)


def test_children_share_the_cores(run_world):
    world = run_world(
        [(0.0, "job"), (0.0, "job")],
        {"job": demands(0.0, [1.0, 2.0])},
        pools=[pool(children=2)],
        cores=1.0,
    )

    # Both at half speed until the first has had its second, then one alone.
    assert [line.finished_at for line in lines(world)] == [2.0, 3.0]


def test_time_outside_is_not_shared(run_world):
    world = run_world(
        [(0.0, "job"), (0.0, "job")],
        {"job": demands(5.0)},
        pools=[pool(children=2)],
        cores=0.5,
    )

    assert [line.finished_at for line in lines(world)] == [5.0, 5.0]


@pytest.mark.parametrize(
    "limits",
    [{"max_tasks_per_child": 2}, {"max_memory_per_child_mib": 99}],
    ids=["by count", "by peak memory"],
)
def test_a_child_is_replaced_after_a_task_never_in_it(run_world, limits):
    world = run_world(
        [(0.0, "job")] * 3,
        {"job": demands(1.0, rss_mib=[50.0, 150.0, 50.0])},
        pools=[pool(**limits)],
    )

    assert [line.started_at for line in lines(world)] == [0.0, 1.0, 4.0]


def test_the_parent_hands_messages_over_one_by_one(run_world):
    world = run_world(
        [(0.0, "job")] * 3,
        {"job": demands(1.0)},
        pools=[pool(children=3)],
        machine=Machine(v_eff=1.0, parent_s=0.1),
    )

    assert [line.started_at for line in lines(world)] == pytest.approx([0.1, 0.2, 0.3])


def test_nothing_is_lost_from_sight(run_world):
    ticks = sorted((k * 0.7, "job") for k in range(200))
    world = run_world(
        ticks,
        {"job": demands([0.2, 3.0, 1.0, 40.0], [0.1, 0.5], failure=0.6)},
        tasks=[
            job(
                expires_s=20,
                soft_time_limit_s=10,
                time_limit_s=12,
                max_retries=2,
                ack="late",
                retry_backoff_s=5,
                retry_backoff_max_s=60,
            )
        ],
        pools=[pool(children=2, max_tasks_per_child=3)],
        cores=1.0,
        end=120.0,
        prefetch=1,
    )

    assert {line.outcome for line in lines(world)} >= {
        Outcome.RETRIED,
        Outcome.EXPIRED,
        Outcome.TIMED_OUT,
    }
    assert world.inside > 0
    assert world.broker.published == len(lines(world)) + world.inside


def test_memory_is_remembered_at_its_highest(run_world):
    world = run_world(
        [(0.0, "job")] * 4,
        {"job": demands(1.0, rss_mib=[50.0, 150.0, 80.0, 60.0])},
        pools=[pool(max_memory_per_child_mib=99)],
    )

    (child,) = world.children
    assert child.high_water_mib == 150.0


def test_a_batch_of_messages_at_once_drains_at_the_speed_of_the_children(run_world):
    world = run_world(
        [(5.0, "job")] * 40, {"job": demands(1.0)}, pools=[pool(children=4)]
    )

    # n E[S] / c, the closed form of a burst.
    assert max(line.finished_at for line in lines(world)) == 5.0 + 40 * 1.0 / 4
