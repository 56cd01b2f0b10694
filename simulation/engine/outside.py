"""The transit app around the workers: the feed, the riders, the outbox, APNs."""

from bisect import bisect_right
from collections.abc import Callable

from simpy import Environment

from simulation.demands import MATCH, POLL, PUSH, REFUSED_S, UPKEEP
from simulation.engine.behaviours import Behaviours
from simulation.engine.breaker import Breaker
from simulation.engine.journal import Batch, Journal
from simulation.engine.message import Message, Portion
from simulation.layout import Layout
from simulation.tables import Demand, Tables

Publish = Callable[[str, tuple[Portion, ...], float], bool]
"""(task, what it carries, since when that waits); False when the message is lost."""

_FEED_WINDOWS = ("nsw_down", "nsw_slow")


class Outside(Behaviours):
    """A delay is published in the feed, seen by a poll, matched, and pushed.

    A poll sees what was published when it began, unless the breaker keeps it from
    asking. It nudges the matcher while more has been seen than matched, one nudge in
    ``nudge_s`` or until a matcher is done; the matcher makes one notification a rider,
    commits, and publishes batches. A row is the promise, the message only a hint:
    upkeep sends a message again for what was neither sent nor is claimed any more.
    """

    def __init__(
        self,
        env: Environment,
        tables: Tables,
        layout: Layout,
        journal: Journal,
        publish: Publish,
    ) -> None:
        self._env = env
        self._tables = tables
        self._layout = layout
        self._journal = journal
        self._publish = publish
        self._breaker = Breaker(layout.realtime)
        self._feed_windows = [w for w in tables.windows if w.kind in _FEED_WINDOWS]
        self._push_windows = [w for w in tables.windows if w.kind == "apns_slow"]
        self._seen = 0  # onsets that a poll has brought in
        self._matched = 0  # onsets whose notifications are committed
        self._nudged_until = -1.0
        self._fetched: dict[int, int] = {}  # poll -> onsets in what it fetched
        self._snapshot: dict[int, int] = {}  # matcher -> onsets that it read
        self._claims: dict[int, float] = {}  # sender -> when its claim ends
        self._unsent: list[tuple[float, tuple[Portion, ...], float]] = []  # due, born

    def begin(self, message: Message) -> None:
        """Note what this attempt sees: the feed as served, the delays as cached."""
        name = message.task.name
        if name == POLL:
            if not self._breaker.admits(self._env.now):
                return
            luck = self._tables.streams[POLL].jitter(message.number, message.attempt)
            self._fetched[message.number] = (
                0
                if luck < self._tables.blind
                else bisect_right(self._tables.onset_at, self._env.now)
            )
        elif name == MATCH:
            self._snapshot[message.number] = self._seen
            message.units = sum(self._tables.onset_riders[self._matched : self._seen])
        elif name == PUSH and message.portions:
            held_s = message.task.time_limit_s + self._layout.push.claim_margin_s
            self._claims[message.number] = self._env.now + held_s

    def hampered(self, message: Message, demand: Demand) -> Demand:
        """Slow or failing while a window is open; short while the breaker is."""
        name, now = message.task.name, self._env.now
        if name == POLL:
            if message.number not in self._fetched:
                return demand._replace(io_s=REFUSED_S, cpu_s=0.0, fails=True)
            for window in self._feed_windows:
                if window.start_at <= now < window.end_at:
                    demand = (
                        demand._replace(fails=True)
                        if window.kind == "nsw_down"
                        else demand._replace(io_s=demand.io_s + window.value)
                    )
        elif name == PUSH:
            for window in self._push_windows:
                if window.start_at <= now < window.end_at:
                    rounds = -(-message.units // self._layout.streams)
                    io_s = max(0.0, demand.io_s + rounds * window.value)
                    demand = demand._replace(io_s=io_s)
        return demand

    def complete(self, message: Message, started_at: float, finished_at: float) -> None:
        """What follows: a nudge, batches of pushes, arrivals, what was left unsent."""
        name = message.task.name
        if name == POLL:
            self._breaker.succeeded()
            self._seen = max(self._seen, self._fetched.pop(message.number))
            if self._seen > self._matched and finished_at >= self._nudged_until:
                self._nudged_until = finished_at + self._layout.realtime.nudge_s
                self._publish(MATCH, (), finished_at)
        elif name == MATCH:
            self._match(self._snapshot.pop(message.number), finished_at)
            self._nudged_until = -1.0
        elif name == UPKEEP:
            self._sweep(finished_at)
        elif name == PUSH and message.portions:
            self._claims.pop(message.number)
            first, last = self._tables.arrivals
            took_s = finished_at - started_at
            self._journal.batches.append(
                Batch(
                    message.portions,
                    started_at + first * took_s,
                    started_at + last * took_s,
                )
            )

    def sever(self, message: Message, finished_at: float) -> None:
        """Rows are in PostgreSQL whatever became of Redis; what a poll read is not."""
        if message.task.name == MATCH:
            self._match(self._snapshot.pop(message.number), finished_at)
        if message.task.name == POLL:
            self._fetched.pop(message.number, None)

    def retry(self, message: Message) -> None:
        """The breaker counts every poll that asked in vain."""
        asked = message.task.name == POLL and message.number in self._fetched
        if asked:
            self._fetched.pop(message.number)
            self._breaker.failed(self._env.now)

    def abandon(self, message: Message) -> None:
        """The breaker counts a poll; notifications wait for the sweep."""
        name, now = message.task.name, self._env.now
        if name == POLL:
            self.retry(message)
        elif name == PUSH and message.portions:
            due_at = self._claims.pop(message.number, now)
            self._unsent.append((due_at, message.portions, message.born_at))

    def _match(self, upto: int, now: float) -> None:
        """Commit the notifications of the onsets, then publish: a lost message is
        swept, a lost row would not be.
        """
        riders = self._tables.onset_riders
        new = range(self._matched, upto)
        for onset in new:
            self._journal.matched_at[onset] = now
        self._matched = max(self._matched, upto)
        portions = [(onset, riders[onset]) for onset in new if riders[onset]]
        for batch in batches(portions, self._layout.batch_size):
            self._hint(batch, now, now)

    def _sweep(self, now: float) -> None:
        """Publish again what is due, and forget what is too old to be of use."""
        waiting, self._unsent = self._unsent, []
        for due_at, portions, born_at in waiting:
            if now > born_at + self._layout.push.expiry_s:
                continue
            if due_at > now:
                self._unsent.append((due_at, portions, born_at))
            else:
                self._hint(portions, born_at, now)

    def _hint(self, portions: tuple[Portion, ...], born_at: float, now: float) -> None:
        if not self._publish(PUSH, portions, born_at):
            due_at = now + self._layout.push.hint_again_s
            self._unsent.append((due_at, portions, born_at))


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
