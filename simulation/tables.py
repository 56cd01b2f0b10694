"""What a run is made of, drawn beforehand: arrays that both engines read.

Nothing is drawn while a model runs. A task's n-th message has the n-th demand of its
stream whatever the policy, so two policies are compared on the same day with the same
luck (common random numbers).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from worker.errors import UsageError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

RETRY_STRIDE = 7919
"""Retries look this far along a stream (a prime): a new draw, yet a known one."""


class Demand(NamedTuple):
    """What one attempt asks for: seconds outside, seconds of a core, peak memory.

    It ``fails`` at its end, or kills its child (``lethal``), as out of memory does.
    ``deaf``: it does not hear the soft limit.
    """

    io_s: float
    cpu_s: float
    rss_mib: float = 0.0
    fails: bool = False
    deaf: bool = False
    lethal: bool = False


class Stream:
    """The pre-drawn demands of one task.

    The n-th message asks for ``io_s[n] + units * io_per_unit_s`` seconds outside and
    for CPU alike, where units are its notifications. It fails when ``chance[n]`` is
    below ``failure``; ``luck[n]`` jitters its retries. A message is poison, at every
    attempt, when its ``chance`` is among the highest ``poison``. ``deaf`` tasks do not
    hear the soft limit. ``lag_s[n]``: from the hand-over to an idle child until the
    attempt has started. ``cold_s``: a process's first attempt at the task waits so much
    longer outside, for connections that it opens. Streams repeat when they are too
    short.
    """

    def __init__(
        self,
        *,
        io_s: Floats,
        cpu_s: Floats,
        rss_mib: Floats,
        luck: Floats,
        chance: Floats,
        lag_s: Floats | None = None,
        io_per_unit_s: float = 0.0,
        cpu_per_unit_s: float = 0.0,
        failure: float = 0.0,
        poison: float = 0.0,
        deaf: bool = False,
        cold_s: float = 0.0,
    ) -> None:
        lag_s = np.zeros_like(io_s) if lag_s is None else lag_s
        arrays = (io_s, cpu_s, rss_mib, luck, chance, lag_s)
        if len({len(array) for array in arrays}) != 1 or not len(io_s):
            raise UsageError("a stream needs as many io as cpu, memory and luck draws")
        for name, array in (
            ("io_s", io_s), ("cpu_s", cpu_s), ("rss_mib", rss_mib), ("lag_s", lag_s),
        ):  # fmt: skip
            if not np.isfinite(array).all() or (array < 0).any():
                raise UsageError(f"a stream's {name} holds NaN, infinity or a negative")
        for name, array in (("luck", luck), ("chance", chance)):
            if not ((array >= 0) & (array <= 1)).all():
                raise UsageError(f"a stream's {name} holds a number outside 0 to 1")
        for name, share in (("failure", failure), ("poison", poison)):
            if not 0 <= share <= 1:
                raise UsageError(f"a stream's {name} {share} is not a share of 1")
        if not all(0 <= s < np.inf for s in (io_per_unit_s, cpu_per_unit_s, cold_s)):
            raise UsageError("a stream's seconds are numbers, never negative")
        self.io_s, self.cpu_s, self.rss_mib = io_s, cpu_s, rss_mib
        self.luck, self.chance, self.lag_s = luck, chance, lag_s
        self.io_per_unit_s, self.cpu_per_unit_s = io_per_unit_s, cpu_per_unit_s
        self.failure, self.poison = failure, poison
        self.deaf, self.cold_s = deaf, cold_s

    def __len__(self) -> int:
        return len(self.io_s)

    def demand(
        self, number: int, attempt: int, units: int, *, cold: bool = False
    ) -> Demand:
        """The demand of an attempt at the task's ``number``-th message; ``cold`` when
        its process makes the first one.
        """
        row = self._rows[(number + attempt * RETRY_STRIDE) % len(self._rows)]
        if not units and not cold and not self.poison:
            return row
        return Demand(
            row.io_s + units * self.io_per_unit_s + cold * self.cold_s,
            row.cpu_s + units * self.cpu_per_unit_s,
            row.rss_mib,
            row.fails,
            row.deaf,
            self.poison > 0
            and float(self.chance[number % len(self)]) > 1 - self.poison,
        )

    def lag(self, number: int, attempt: int) -> float:
        """Seconds until an idle child that was handed the message has started."""
        return self._lags[(number + attempt * RETRY_STRIDE) % len(self._lags)]

    def jitter(self, number: int, attempt: int) -> float:
        """A number in [0, 1) for the countdown of a retry."""
        return self._lucks[(number + attempt * RETRY_STRIDE) % len(self._lucks)]

    # Python numbers: an engine in Python reads a list five times faster.

    @cached_property
    def _rows(self) -> list[Demand]:
        """The demands of messages without units, on a child that is warm."""
        columns = (self.io_s, self.cpu_s, self.rss_mib, self.chance < self.failure)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            Demand(io_s, cpu_s, rss_mib, fails, self.deaf)
            for io_s, cpu_s, rss_mib, fails in rows
        ]

    @cached_property
    def _lags(self) -> list[float]:
        lags: list[float] = self.lag_s.tolist()
        return lags

    @cached_property
    def _lucks(self) -> list[float]:
        lucks: list[float] = self.luck.tolist()
        return lucks


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the children run on.

    ``v_eff``: cores that all pools together get, as an independent canary measured
    them; None where each pool has the vCPU of its own service. ``parent_s``: the
    pool's parent hands over a message; ``between_s``: a child is not ready for
    ``between_s`` after a task; ``respawn_s``: a replaced child is back.
    """

    v_eff: float | None
    parent_s: float = 0.0
    between_s: float = 0.0
    respawn_s: float = 0.37

    def __post_init__(self) -> None:
        if self.v_eff is not None and not 0 < self.v_eff < np.inf:
            raise UsageError(f"v_eff {self.v_eff} is not a number of cores")
        overheads = (self.parent_s, self.between_s, self.respawn_s)
        if not all(0 <= seconds < np.inf for seconds in overheads):
            raise UsageError("a machine's overheads are seconds, never negative")


WindowKind = Literal[
    "nsw_down", "nsw_slow", "apns_slow", "redis_cut", "deploy", "kill", "beat_down"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """From ``start_at`` to ``end_at`` something is hampered.

    ``nsw_down``, ``nsw_slow``, ``apns_slow``, ``redis_cut``: see scenario.Event; a
    negative ``value`` is quicker than what was calibrated.
    ``deploy`` and ``kill``: a pool's workers are told to leave, or die, at ``start_at``
    and others are there at ``end_at``, a cold start later; ``pool`` names them, all of
    them when empty. ``beat_down``: beat is away.
    """

    start_at: float
    end_at: float
    kind: WindowKind
    value: float = 0.0
    pool: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(WindowKind):
            raise UsageError(
                f"the model knows no window '{self.kind}'; it knows "
                f"{', '.join(get_args(WindowKind))}"
            )
        if not -np.inf < self.start_at <= self.end_at < np.inf:
            raise UsageError(
                f"window {self.kind} from {self.start_at} to {self.end_at} "
                "must end after it starts"
            )
        if not -np.inf < self.value < np.inf:
            raise UsageError(f"window {self.kind} has value {self.value}: no seconds")


@dataclass(frozen=True, kw_only=True)
class Tables:
    """One run, drawn. Times are epoch seconds, sorted.

    ``tick_at`` / ``tick_task``: what beat publishes when, a place in ``ticking``, the
    names. ``onset_at`` / ``onset_riders``: a line's delay is published in the feed, and
    how many riders it concerns. ``group_at`` / ``group_size``: notifications that a
    publisher hands to the senders at once, nobody having matched them. ``windows``:
    when the outside is slow or down.
    ``arrivals``: the shares of a sender's time after which its first and its last push
    have arrived. ``blind``: share of polls that bring no news, by the poll's luck.
    ``warm``: the first processes have made an attempt at every task before.
    """

    start_at: float
    end_at: float
    tick_at: Floats
    tick_task: Counts
    ticking: tuple[str, ...]
    streams: Mapping[str, Stream]
    machine: Machine
    onset_at: Sequence[float] = ()
    onset_riders: Sequence[int] = ()
    group_at: Sequence[float] = ()
    group_size: Sequence[int] = ()
    windows: tuple[Window, ...] = ()
    arrivals: tuple[float, float] = (0.0, 1.0)
    blind: float = 0.0
    warm: bool = False

    @classmethod
    def of(
        cls, ticks: Sequence[tuple[float, str]], streams: Mapping[str, Stream],
        machine: Machine, *, start_at: float, end_at: float,
    ) -> Self:  # fmt: skip
        """Tables of ``ticks``, (at, task) each, and nothing else."""
        names = tuple(dict.fromkeys(task for _, task in ticks))
        return cls(
            start_at=start_at,
            end_at=end_at,
            tick_at=np.array([at for at, _ in ticks], dtype=np.float64),
            tick_task=np.array([names.index(task) for _, task in ticks], np.int64),
            ticking=names,
            streams=streams,
            machine=machine,
        )

    def __post_init__(self) -> None:
        if not -np.inf < self.start_at < self.end_at < np.inf:
            raise UsageError(
                f"a run from {self.start_at} to {self.end_at} must end after it starts"
            )
        if len(self.tick_at) != len(self.tick_task):
            raise UsageError("every tick needs its task")
        if len(self.onset_at) != len(self.onset_riders):
            raise UsageError("every onset needs its riders")
        if len(self.group_at) != len(self.group_size):
            raise UsageError("every group needs its size")
        if any(riders < 0 for riders in (*self.onset_riders, *self.group_size)):
            raise UsageError(
                "onsets and groups concern riders, never a negative number"
            )
        for name in ("tick_at", "onset_at", "group_at"):
            moments = np.asarray(getattr(self, name), dtype=np.float64)
            if not np.isfinite(moments).all():
                raise UsageError(f"the tables' {name} holds NaN or infinity")
            if (moments[1:] < moments[:-1]).any():
                raise UsageError(f"the tables' {name} is not sorted by time")
        first, last = self.arrivals
        if not 0 <= first <= last <= 1 or not 0 <= self.blind <= 1:
            raise UsageError("arrivals and blind are shares between 0 and 1")
        missing = set(self.ticking) - set(self.streams)
        if missing:
            raise UsageError(f"no demand is known for {', '.join(sorted(missing))}")

    @property
    def duration_s(self) -> float:
        """Length of the run."""
        return self.end_at - self.start_at
