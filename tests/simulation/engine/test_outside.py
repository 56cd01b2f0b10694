from dataclasses import replace

import pytest

from simulation.demands import MATCH, POLL, PUSH, SYNC, TaskDemand
from simulation.engine import simulate
from simulation.engine.outside import batches
from simulation.engine.recorded import recorded
from simulation.layout import Layout
from simulation.tables import Window
from simulation.workload import Happenings, tables_of
from worker.policy import POLICY
from worker.records import Outcome

SLOT = 1_800_000_000.0


def fixed(task, io_s):
    return TaskDemand(task=task, io_s=(io_s,), cpu_s=(0.0,), rss_mib=(50.0,))


@pytest.fixture
def run(truth):
    """Runs onsets (seconds after a slot, riders) with demands that do not vary."""
    calibration = replace(
        truth,
        demands={
            POLL: fixed(POLL, 1.0),
            MATCH: fixed(MATCH, 0.5),
            PUSH: fixed(PUSH, 0.25),
            SYNC: fixed(SYNC, 100.0),
            "upkeep": fixed("upkeep", 0.5),
        },
        machine=replace(truth.machine, parent_s=0.0, between_s=0.0),
        beat_lag_s=(0.0,),
        arrivals=(0.0, 1.0),
    )

    def go(*onsets, windows=(), end_s=100.0):
        layout = Layout.of(POLICY)
        happenings = Happenings(
            start_at=SLOT + 1,
            end_at=SLOT + end_s,
            onsets=tuple((SLOT + at, riders) for at, riders in onsets),
            windows=windows,
        )
        tables = tables_of(happenings, calibration, layout)
        return recorded(simulate(layout, tables), layout, every_s=None)

    return go


def test_a_delay_waits_for_the_next_poll_and_is_then_matched_and_pushed(run):
    seen = run((10.0, 1))

    (push,) = seen.deliveries
    assert push.published_at == SLOT + 10
    assert push.matched_at == pytest.approx(SLOT + 15 + 1.0 + 0.5)
    assert push.arrived_at == pytest.approx(SLOT + 15 + 1.0 + 0.5 + 0.25)


def test_a_poll_sees_what_was_published_when_it_began(run):
    seen = run((15.5, 1))  # while the poll of slot 15 is under way

    assert seen.deliveries[0].arrived_at > SLOT + 30


def test_riders_are_cut_into_batches(run):
    seen = run((10.0, 250))

    sent = [r.detail["notifications"] for r in seen.tasks if r.task == PUSH]
    assert sorted(sent) == [50, 100, 100]
    assert len(seen.deliveries) == 250


def test_one_nudge_at_a_time_and_none_without_news(run):
    seen = run((10.0, 1), (12.0, 1), (20.0, 1))

    matched = [record for record in seen.tasks if record.task == MATCH]
    assert len(matched) == 2
    assert len(seen.deliveries) == 3


def test_while_the_feed_is_down_riders_wait_for_the_first_poll_after(run):
    down = Window(start_at=SLOT + 12, end_at=SLOT + 44, kind="nsw_down")

    seen = run((10.0, 1), windows=(down,))

    failed = [r for r in seen.tasks if r.outcome is Outcome.FAILED]
    assert len(failed) == 2
    assert seen.deliveries[0].arrived_at == pytest.approx(SLOT + 45 + 1.75)


def test_a_throttled_apns_makes_every_batch_longer(run):
    slow = Window(start_at=SLOT, end_at=SLOT + 60, kind="apns_slow", value=8)

    seen = run((10.0, 1), windows=(slow,))

    assert seen.deliveries[0].arrived_at == pytest.approx(SLOT + 15 + 1.75 + 8)


def polls(seen):
    return [record for record in seen.tasks if record.task == POLL]


def test_the_breaker_stops_asking_after_failures_in_a_row_and_then_probes(run):
    down = Window(start_at=SLOT, end_at=SLOT + 190, kind="nsw_down")

    seen = run((10.0, 1), windows=(down,), end_s=240.0)

    asked = [r.enqueued_at - SLOT for r in polls(seen) if r.service_s > 0.5]
    # Five failures, then 30 s and 60 s of silence; the second probe finds NSW up.
    assert asked == [15, 30, 45, 60, 75, 120, 195, 210, 225]
    failed = [r.enqueued_at - SLOT for r in polls(seen) if r.outcome is Outcome.FAILED]
    assert failed == list(range(15, 195, 15))
    assert seen.deliveries[0].arrived_at == pytest.approx(SLOT + 195 + 1.75)


def test_a_nudge_that_got_lost_is_repeated(run):
    """A level, not an edge: its mark runs out before the next poll."""
    cut = Window(start_at=SLOT + 15.5, end_at=SLOT + 16.2, kind="redis_cut")

    seen = run((10.0, 1), windows=(cut,))

    # The poll could not write what it read; the next one sees it again.
    assert polls(seen)[0].outcome is Outcome.FAILED
    assert seen.deliveries[0].arrived_at == pytest.approx(SLOT + 30 + 1.75)


def test_notifications_whose_message_was_lost_are_swept(run):
    """A row is the promise, the message only a hint."""
    cut = Window(start_at=SLOT + 16.3, end_at=SLOT + 20, kind="redis_cut")

    seen = run((10.0, 1), windows=(cut,), end_s=60.0)

    # Matched at 16.5 s, unpublished; due again 15 s later, swept by the upkeep of 45 s.
    (push,) = seen.deliveries
    assert push.matched_at == pytest.approx(SLOT + 16.5)
    assert push.arrived_at == pytest.approx(SLOT + 45 + 0.5 + 0.25)


def test_a_killed_senders_riders_are_told_once_its_claim_is_over(run):
    died = Window(start_at=SLOT + 16.6, end_at=SLOT + 18, kind="kill", pool="bg")

    seen = run((10.0, 1), windows=(died,), end_s=90.0)

    lost = [record for record in seen.tasks if record.outcome is Outcome.LOST]
    assert [record.task for record in lost] == [PUSH]
    # Claimed at 16.5 s for hard limit and margin, 20 s: the upkeep of 45 s finds it.
    (push,) = seen.deliveries
    assert push.arrived_at == pytest.approx(SLOT + 45 + 0.5 + 0.25)


def test_batches_keep_order_and_lose_nobody():
    cut = batches([(0, 3), (1, 4), (2, 1)], 3)

    assert cut == [((0, 3),), ((1, 3),), ((1, 1), (2, 1))]
