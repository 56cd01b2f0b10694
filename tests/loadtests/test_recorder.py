"""What the recorder keeps of the workers' streams, on a real Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from loadtests.processes import Processes
from loadtests.recorder import Recorder, canary_samples
from worker.policy import POLICY
from worker.records import Outcome, Sample
from worker.telemetry import gauges, recording


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def recorder(client: Redis) -> Recorder:
    return Recorder(
        redis=client,
        policy=POLICY,
        # Following the streams needs no process of a rig.
        processes=Processes(rig=None, policy=POLICY, environment={}),  # type: ignore[arg-type]
        clock_offset_s=0.0,
    )


def attempt_at(client: Redis, task_id: str) -> recording.OpenAttempt:
    return recording.opened(
        client,
        POLICY.recording,
        task_id=task_id,
        task="upkeep",
        queue="normal",
        worker="bg@here",
        enqueued_at=None,
        time_limit_s=14,
    )


def test_an_attempt_is_kept_when_it_has_ended(
    client: Redis, recorder: Recorder
) -> None:
    attempt = attempt_at(client, "one")
    recorder.follow()
    assert recorder.tasks == []

    ended = recording.closed(client, POLICY.recording, attempt, Outcome.SUCCEEDED)
    recorder.follow()

    assert recorder.tasks == [ended]
    assert recorder.last("upkeep", Outcome.SUCCEEDED) == ended
    assert recorder.last("upkeep", Outcome.FAILED) is None


def test_the_first_end_of_an_attempt_holds(client: Redis, recorder: Recorder) -> None:
    attempt = attempt_at(client, "one")
    first = recording.closed(client, POLICY.recording, attempt, Outcome.SUCCEEDED)
    recording.closed(client, POLICY.recording, attempt, Outcome.KILLED)

    recorder.follow()

    assert recorder.tasks == [first]


def test_a_run_forgets_what_was_before_it(client: Redis, recorder: Recorder) -> None:
    ended = recording.closed(
        client, POLICY.recording, attempt_at(client, "one"), Outcome.SUCCEEDED
    )
    recorder.follow()

    recorder.begin(ended.finished_at + 1)

    assert recorder.tasks == []


def test_gauges_that_the_recorder_reads_itself_are_not_kept_twice(
    client: Redis, recorder: Recorder
) -> None:
    memory = Sample(at=15.0, name="memory_mib", label="bg/parent", value=30.0)
    depth = Sample(at=15.0, name="depth", label="normal", value=3.0)
    gauges.append(client, POLICY, [memory, depth])

    recorder.follow()

    assert recorder.samples == [memory]


def test_the_canarys_half_written_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "canary.txt"
    path.write_text("10.0 1.9\n10.4 1.8\n10.8")

    assert [sample.value for sample in canary_samples(path)] == [1.9, 1.8]
    assert canary_samples(tmp_path / "none") == []
