"""Watch a run from outside: follow the workers' streams, read gauges each second.

The recorder starts nothing and changes nothing. It reads the same streams that the
workers leave for upkeep, so what it keeps is what a live system keeps.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from loadtests.processes import BEAT, Processes, cpu_of, memory_of
from worker import keys
from worker.policy import Policy
from worker.realtime import read
from worker.records import Outcome, Sample, TaskRecord
from worker.telemetry import gauges, recording

PERIOD_S = 1.0
FEEDS_EVERY = 5
OWN = {"cpu_s", "depth", "oldest_age_s", "unacknowledged", "feed_age_s"}
"""Samples that the workers take too, each quarter of a minute. Memory is left to them:
a reading walks every page table of a process, 5 ms long."""

READ_AT_ONCE = 2_000


@dataclass(kw_only=True)
class Recorder:
    """Records and samples of everything since it was made.

    ``cpu_s`` is what the recorder itself has used of a core since the run began, what
    its watcher does each second included.
    """

    redis: Redis
    policy: Policy
    processes: Processes
    clock_offset_s: float
    samples: list[Sample] = field(default_factory=list)
    cpu_s: float = 0.0

    def __post_init__(self) -> None:
        self._tasks: dict[tuple[str, int], TaskRecord] = {}
        self._from = {keys.TASK_RECORDS: b"0", keys.SAMPLES: b"0"}
        self._cpu_before_s: dict[str, tuple[int, float]] = {}
        self._commands: int | None = None
        self._rounds = 0
        self._slot = 0.0
        self._begins_at = 0.0
        self._alive: Mapping[str, int] = {}

    @property
    def tasks(self) -> list[TaskRecord]:
        """Attempts that have ended, in the order of their end."""
        return list(self._tasks.values())

    def last(self, task: str, outcome: Outcome | None = None) -> TaskRecord | None:
        """The latest ended attempt of a task, with that outcome if one is given."""
        for record in reversed(self._tasks.values()):
            if record.task == task and outcome in (None, record.outcome):
                return record
        return None

    def begin(self, at: float) -> None:
        """A run begins at that epoch second: forget what was sampled before."""
        self.follow()
        self.samples.clear()
        self._tasks = {k: r for k, r in self._tasks.items() if r.finished_at >= at}
        self.cpu_s = 0.0
        self._rounds = 0
        self._slot = self._slot_at(at)
        self._begins_at = at

    def follow(self) -> None:
        """Read what the streams hold that was not read yet."""
        while True:
            streams: dict[Any, Any] = {**self._from}
            answer: Any = self.redis.xread(streams, count=READ_AT_ONCE)
            for stream, entries in answer:
                name = stream.decode()
                for entry_id, fields in entries:
                    self._from[name] = entry_id
                    if name == keys.TASK_RECORDS:
                        self._keep(recording.parsed(fields))
                    else:
                        self._keep_gauges(gauges.parsed(fields))
            if all(len(entries) < READ_AT_ONCE for _, entries in answer):
                return

    def watch(
        self,
        until: float,
        *,
        each_second: Callable[[float], bool],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read gauges each second until that epoch second, or until ``each_second``,
        which is told the time, says that it is enough (False).
        """
        due_at = time.time()
        while (now := time.time()) < until:
            used_s = time.process_time()
            self.follow()
            self.read(now)
            enough = not each_second(now)
            if now >= self._begins_at:
                self.cpu_s += time.process_time() - used_s
            if enough:
                return
            due_at += PERIOD_S
            sleep(max(0.0, min(due_at, until) - time.time()))

    def read(self, now: float) -> None:
        """One reading of every gauge that is due.

        What costs more, or changes less, once in a slot of the workers' own gauges and
        at its instant, so that the memory of all processes adds up.
        """
        slot = self._slot_at(now)
        if self._rounds == 0 or slot > self._slot:
            self._alive = self.processes.alive()
            self.samples += self._of_redis(now)
        if slot > self._slot:
            self._slot = slot
            beat = {name: pid for name, pid in self._alive.items() if name == BEAT}
            self.samples += memory_of(beat, now=slot)
        self._rounds += 1
        self.samples += gauges.of_queues(self.redis, self.policy, now=now)
        if self._rounds % FEEDS_EVERY == 0:
            self.samples += self._of_feeds(now)
        members = self.processes.members(self._alive)
        self.samples += cpu_of(members, self._cpu_before_s, now=now)

    def _slot_at(self, now: float) -> float:
        period_s = self.policy.recording.gauge_period_s
        return now // period_s * period_s

    def _of_redis(self, now: float) -> list[Sample]:
        """Commands that Redis has done since the last reading, those of all clients."""
        found = []
        statistics: Any = self.redis.info("stats")
        commands = int(statistics["total_commands_processed"])
        if self._commands is not None:
            done = float(commands - self._commands)
            found.append(Sample(at=now, name="redis_commands", label="", value=done))
        self._commands = commands
        return found

    def _of_feeds(self, now: float) -> list[Sample]:
        """Age of what a rider reads, for each feed at the busiest cadence."""
        at_most_s = min(feed.intervals.peak_s for feed in self.policy.feeds.values())
        held = read.freshness(self.redis)
        return [
            Sample(at=now, name="feed_age_s", label=name, value=max(0.0, age_s))
            for name, feed in self.policy.feeds.items()
            if feed.intervals.peak_s == at_most_s and name in held
            for age_s in [held[name].age_s(now + self.clock_offset_s)]
        ]

    def _keep(self, entry: recording.Entry) -> None:
        # The first closing entry holds: a parent may close what its child has closed.
        if isinstance(entry, TaskRecord):
            self._tasks.setdefault((entry.task_id, entry.attempt), entry)

    def _keep_gauges(self, found: list[Sample]) -> None:
        """The workers' own gauges, but for those that are read here more often."""
        self.samples += [sample for sample in found if sample.name not in OWN]


def canary_samples(path: Path) -> list[Sample]:
    """What the canary wrote: effective cores."""
    if not path.exists():
        return []
    rows = (line.split() for line in path.read_text().splitlines())
    return [
        Sample(at=float(row[0]), name="v_eff", label="", value=float(row[1]))
        for row in rows
        if len(row) == 2
    ]
