"""The transit app around the workers: the feed, the riders, the outbox, APNs."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

from simpy import Environment

from simulation.engine.behaviours import Behaviours
from simulation.engine.journal import Batch, Journal
from simulation.engine.message import Message, Portion
from simulation.tables import Demand, Tables

POLL, MATCH, PUSH = "gtfs_rt_poller", "alert_matcher", "apns_worker"

Publish = Callable[[str, tuple[Portion, ...]], None]


class Outside(Behaviours):
    """A delay is published in the feed, seen by a poll, matched, and pushed.

    A poll sees what was published when it began. It nudges the matcher while more has
    been seen than matched, one nudge in flight; the matcher makes one notification a
    rider, commits, and publishes batches of at most ``batch_size``.
    """

    def __init__(
        self,
        env: Environment,
        tables: Tables,
        journal: Journal,
        publish: Publish,
        *,
        batch_size: int,
        streams: int,
    ) -> None:
        self._env = env
        self._tables = tables
        self._journal = journal
        self._publish = publish
        self._batch_size = batch_size
        self._streams = streams
        self._seen = 0  # onsets that a poll has brought in
        self._matched = 0  # onsets whose notifications are committed
        self._nudged = False
        self._fetched: dict[int, int] = {}  # poll -> onsets in what it fetched
        self._snapshot: dict[int, int] = {}  # matcher -> onsets that it read

    def begin(self, message: Message) -> None:
        """Note what this attempt sees: the feed as served, the delays as cached."""
        if message.task.name == POLL:
            luck = self._tables.streams[POLL].jitter(message.number, message.attempt)
            self._fetched[message.number] = (
                0
                if luck < self._tables.blind
                else bisect_right(self._tables.onset_at, self._env.now)
            )
        elif message.task.name == MATCH:
            self._snapshot[message.number] = self._seen
            message.units = sum(self._tables.onset_riders[self._matched : self._seen])

    def hampered(self, message: Message, demand: Demand) -> Demand:
        """Slow or failing while a window of the scenario is open."""
        for window in self._tables.windows:
            if not window.start_at <= self._env.now < window.end_at:
                continue
            if message.task.name == POLL and window.kind == "nsw_down":
                demand = replace(demand, fails=True)
            elif message.task.name == POLL and window.kind == "nsw_slow":
                demand = replace(demand, io_s=demand.io_s + window.value)
            elif message.task.name == PUSH and window.kind == "apns_slow":
                rounds = -(-message.units // self._streams)
                io_s = max(0.0, demand.io_s + rounds * window.value)
                demand = replace(demand, io_s=io_s)
        return demand

    def complete(self, message: Message, started_at: float, finished_at: float) -> None:
        """What follows: a nudge, batches of pushes, arrivals."""
        name = message.task.name
        if name == POLL:
            self._seen = max(self._seen, self._fetched.pop(message.number))
            if self._seen > self._matched and not self._nudged:
                self._nudged = True
                self._publish(MATCH, ())
        elif name == MATCH:
            upto = self._snapshot.pop(message.number)
            portions = self._portions(self._matched, upto)
            for onset in range(self._matched, upto):
                self._journal.matched_at[onset] = finished_at
            self._matched = max(self._matched, upto)
            self._nudged = False
            for batch in batches(portions, self._batch_size):
                self._publish(PUSH, batch)
        elif name == PUSH and message.portions:  # a publisher tells nobody here
            first, last = self._tables.arrivals
            took_s = finished_at - started_at
            self._journal.batches.append(
                Batch(
                    message.portions,
                    started_at + first * took_s,
                    started_at + last * took_s,
                )
            )

    def abandon(self, message: Message) -> None:
        """A matcher that failed leaves its nudge to the next poll."""
        if message.task.name == POLL:
            self._fetched.pop(message.number, None)
        elif message.task.name == MATCH:
            self._nudged = False

    def _portions(self, first: int, last: int) -> list[Portion]:
        riders = self._tables.onset_riders
        return [(k, riders[k]) for k in range(first, last) if riders[k]]


def batches(portions: list[Portion], size: int) -> list[tuple[Portion, ...]]:
    """The portions in order, cut into batches of ``size`` notifications at most."""
    cut: list[tuple[Portion, ...]] = []
    batch: list[Portion] = []
    room = size
    for event, riders in portions:
        while riders:
            taken = min(room, riders)
            batch.append((event, taken))
            riders -= taken
            room -= taken
            if not room:
                cut.append(tuple(batch))
                batch, room = [], size
    if batch:
        cut.append(tuple(batch))
    return cut
