"""Who gets which message, when, and which messages nobody gets."""

import subprocess
import sys

import pytest

from simulation.engine import Growth
from simulation.tables import Machine
from worker.records import Outcome

from .conftest import demands, job, pool

TWO_QUEUES = [job("a", queue="qa"), job("b", queue="qb")]
FIVE = [(0.0, "a"), (0.1, "a"), (0.2, "a"), (0.3, "b"), (0.4, "b")]


def starts(world):
    return [line.started_at for line in world.journal.lines]


@pytest.mark.parametrize(
    ("order", "served"),
    [("priority", "abbaa"), ("round_robin", "ababa")],
    ids=["in the order of the row", "the queue served goes to the end"],
)
def test_queues_are_served_as_kombu_does(run_world, order, served):
    world = run_world(
        FIVE,
        {"a": demands(1.0), "b": demands(1.0)},
        tasks=TWO_QUEUES,
        pools=[pool(queues=("qb", "qa"))],
        broker={"queue_order": order},
    )

    assert "".join(line.task for line in world.journal.lines) == served


@pytest.mark.parametrize("order", ["priority", "round_robin"])
def test_kombu_itself_serves_queues_in_this_order(run_world, order):
    """The same five messages through kombu's own cycle and a list a queue."""
    from kombu.utils.scheduling import cycle_by_name

    cycle = cycle_by_name(order)()
    cycle.update(["qb", "qa"])
    waiting = {"qa": ["a", "a"], "qb": ["b", "b"]}
    served = ["a"]  # the first found the child idle
    cycle.rotate("qa")
    while any(waiting.values()):
        queue = next(q for q in cycle.consume(2) if waiting[q])
        cycle.rotate(queue)
        served.append(waiting[queue].pop(0))

    world = run_world(
        FIVE,
        {"a": demands(1.0), "b": demands(1.0)},
        tasks=TWO_QUEUES,
        pools=[pool(queues=("qb", "qa"))],
        broker={"queue_order": order},
    )

    assert [line.task for line in world.journal.lines] == served


def test_a_message_too_old_when_taken_is_dropped_without_a_start(run_world):
    world = run_world(
        [(0.0, "job"), (1.0, "job")],
        {"job": demands(20.0)},
        tasks=[job(expires_s=10)],
    )

    first, second = world.journal.lines
    assert first.outcome is Outcome.SUCCEEDED
    assert (second.outcome, second.started_at) == (Outcome.EXPIRED, None)
    assert second.finished_at == 20.0


def test_a_message_that_was_young_when_reserved_may_be_too_old_when_started(run_world):
    ticks = [(0.0, "job"), (1.0, "job"), (14.0, "job")]

    world = run_world(
        ticks, {"job": demands(15.0)}, tasks=[job(expires_s=10)], prefetch=1
    )

    assert [line.outcome for line in world.journal.lines] == [
        Outcome.SUCCEEDED,
        Outcome.EXPIRED,
        Outcome.SUCCEEDED,
    ]


def test_prefetched_messages_leave_the_queue_and_no_other_pool_can_have_them(run_world):
    pools = [pool("slow"), pool("spare")]
    ticks = [(0.0, "job"), (0.0, "job"), (1.0, "job"), (1.0, "job"), (1.0, "job")]
    streams = {"job": demands([100.0, 2.0, 1.0, 1.0, 1.0])}

    fair = run_world(ticks, streams, pools=pools, end=50.0)
    hoarded = run_world(ticks, streams, pools=pools, end=50.0, prefetch=2)

    assert len(fair.journal.lines) == 4
    assert len(hoarded.journal.lines) < 4
    assert hoarded.broker.depth("q") == 0
    assert hoarded.inside == 5 - len(hoarded.journal.lines)


@pytest.mark.parametrize(("ack", "hidden"), [("early", 1), ("late", 0)])
def test_late_acknowledgement_reserves_no_more_than_the_children(
    run_world, ack, hidden
):
    world = run_world(
        [(0.0, "job")] * 4,
        {"job": demands(100.0)},
        tasks=[job(ack=ack)],
        prefetch=1,
        end=50.0,
    )

    # One is worked at; early acknowledged it does not count, so another is reserved.
    assert world.broker.depth("q") == 3 - hidden


def test_the_pool_that_has_waited_longest_is_served_first(run_world):
    pools = [pool("one", children=2), pool("two", children=2)]

    world = run_world(
        [(float(at), "job") for at in range(1, 5)], {"job": demands(9.0)}, pools=pools
    )

    # Each pop starts to wait anew, so two idle pools take turns.
    assert [line.worker[:3] for line in world.journal.lines] == [
        "one", "two", "one", "two",
    ]  # fmt: skip


def test_replicas_have_a_parent_each(run_world):
    ticks = [(0.0, "job")] * 4
    machine = Machine(v_eff=9.0, parent_s=0.1)

    alone = run_world(ticks, {"job": demands(1.0)}, pools=[pool(children=4)],
                      machine=machine)  # fmt: skip
    apart = run_world(ticks, {"job": demands(1.0)}, pools=[pool(children=2)],
                      machine=machine, replicas={"p": 2})  # fmt: skip

    assert starts(alone) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert starts(apart) == pytest.approx([0.1, 0.1, 0.2, 0.2])


def test_replicas_have_cores_of_their_own_where_pools_do_not_share_a_machine(run_world):
    machine = Machine(v_eff=None)

    def ended(**layout):
        world = run_world([(0.0, "job")] * 2, {"job": demands(0.0, 1.0)},
                          machine=machine, **layout)  # fmt: skip
        return [line.finished_at for line in world.journal.lines]

    assert ended(pools=[pool(children=2)]) == [2.0, 2.0]
    assert ended(pools=[pool()], replicas={"p": 2}) == [1.0, 1.0]


@pytest.mark.parametrize("replica", [False, True], ids=["a child", "a replica"])
def test_what_is_added_helps_a_cold_start_later(run_world, replica):
    more = Growth(at=2.0, pool="p", children=1, cold_start_s=5.0, replica=replica)

    world = run_world([(0.0, "job")] * 3, {"job": demands(10.0)}, growth=[more])

    assert starts(world) == [0.0, 7.0, 10.0]


def test_the_engine_runs_without_celery():
    code = "import sys, simulation.engine; sys.exit('celery' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
