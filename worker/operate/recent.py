"""The last minutes, read from Redis alone: what status and health speak of."""

import time
from dataclasses import dataclass
from typing import Any

from redis import Redis

from worker import keys
from worker.measures import Recorded
from worker.notifications import deliveries
from worker.policy import Policy
from worker.records import Sample, TaskRecord
from worker.telemetry import gauges, recording


@dataclass(frozen=True, kw_only=True, slots=True)
class Recent:
    """Records and samples of the last ``recording.reader_grace_s`` seconds."""

    now: float
    recorded: Recorded

    def last(self, name: str) -> dict[str, Sample]:
        """The newest sample of that name, by label."""
        newest: dict[str, Sample] = {}
        for sample in self.recorded.samples:
            if sample.name == name:
                newest[sample.label] = sample
        return newest


def read(redis: Redis, policy: Policy) -> Recent:
    """What the streams hold of the last minutes, the queues as they are now."""
    now = time.time()
    since = now - policy.recording.reader_grace_s
    after = int(since * 1000)
    entries: Any = redis.xrange(keys.TASK_RECORDS, min=after)
    closed: dict[tuple[str, int], TaskRecord] = {}
    for _, fields in entries:
        entry = recording.parsed(fields)
        if isinstance(entry, TaskRecord):
            closed.setdefault((entry.task_id, entry.attempt), entry)
    sampled: Any = redis.xrange(keys.SAMPLES, min=after)
    samples = [each for _, fields in sampled for each in gauges.parsed(fields)]
    pushed: Any = redis.xrange(keys.DELIVERIES, min=after)
    samples += gauges.of_queues(redis, policy, now=now)
    samples += gauges.of_tasks(redis, policy, now=now)
    samples += gauges.of_pushes(redis, now=now)
    return Recent(
        now=now,
        recorded=Recorded(
            tasks=list(closed.values()),
            deliveries=[
                each for _, fields in pushed for each in deliveries.parsed(fields)
            ],
            samples=samples,
            started_at=since,
            finished_at=now,
        ),
    )
