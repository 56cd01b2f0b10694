"""What a run is made of, drawn beforehand: arrays that both engines read.

Nothing is drawn while a model runs. A task's n-th message has the n-th demand of its
stream whatever the policy, so two policies are compared on the same day with the same
luck (common random numbers).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from worker.errors import UsageError

Floats = NDArray[np.float64]

RETRY_STRIDE = 7919
"""Retries look this far along a stream (a prime): a new draw, yet a known one."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one attempt asks for: seconds outside, seconds of a core, peak memory."""

    io_s: float
    cpu_s: float
    rss_mib: float = 0.0
    fails: bool = False
    deaf: bool = False


class Stream:
    """The pre-drawn demands of one task.

    The n-th message asks for ``io_s[n] + units * io_per_unit_s`` seconds outside and
    for CPU alike, where units are its notifications. It fails when ``chance[n]`` is
    below ``failure``; ``luck[n]`` jitters its retries. ``deaf`` tasks do not hear the
    soft limit. ``lag_s[n]``: from the hand-over to an idle child until the attempt has
    started. ``cold_s``: a process's first attempt at the task waits so much longer
    outside, for connections that it opens. Streams repeat when they are too short.
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
        self.io_s, self.cpu_s, self.rss_mib = io_s, cpu_s, rss_mib
        self.luck, self.chance, self.lag_s = luck, chance, lag_s
        self.io_per_unit_s, self.cpu_per_unit_s = io_per_unit_s, cpu_per_unit_s
        self.failure, self.deaf, self.cold_s = failure, deaf, cold_s
        # Python floats: an engine in Python reads a list five times faster.
        self._rows = list(
            zip(io_s.tolist(), cpu_s.tolist(), rss_mib.tolist(), strict=True)
        )
        self._fails = (chance < failure).tolist()
        self._luck: list[float] = luck.tolist()
        self._lag: list[float] = lag_s.tolist()

    def __len__(self) -> int:
        return len(self._rows)

    def demand(
        self, number: int, attempt: int, units: int, *, cold: bool = False
    ) -> Demand:
        """The demand of an attempt at the task's ``number``-th message; ``cold`` when
        its process makes the first one.
        """
        place = (number + attempt * RETRY_STRIDE) % len(self._rows)
        io_s, cpu_s, rss_mib = self._rows[place]
        return Demand(
            io_s + units * self.io_per_unit_s + cold * self.cold_s,
            cpu_s + units * self.cpu_per_unit_s,
            rss_mib,
            self._fails[place],
            self.deaf,
        )

    def lag(self, number: int, attempt: int) -> float:
        """Seconds until an idle child that was handed the message has started."""
        return self._lag[(number + attempt * RETRY_STRIDE) % len(self._lag)]

    def jitter(self, number: int, attempt: int) -> float:
        """A number in [0, 1) for the countdown of a retry."""
        return self._luck[(number + attempt * RETRY_STRIDE) % len(self._luck)]


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
        if self.v_eff is not None and not self.v_eff > 0:
            raise UsageError(f"v_eff {self.v_eff} is not a number of cores")
        if min(self.parent_s, self.between_s, self.respawn_s) < 0:
            raise UsageError("a machine's overheads are seconds, never negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """From ``start_at`` to ``end_at`` the outside is hampered: see scenario.Event."""

    start_at: float
    end_at: float
    kind: str
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """One run, drawn. Times are epoch seconds, sorted.

    ``tick_at`` / ``tick_task``: what beat publishes when. ``onset_at`` /
    ``onset_riders``: a line's delay is published in the feed, and how many riders it
    concerns. ``group_at`` / ``group_size``: notifications that a publisher hands to the
    senders at once, nobody having matched them. ``windows``: when the outside is slow
    or down.
    ``arrivals``: the shares of a sender's time after which its first and its last push
    have arrived. ``blind``: share of polls that bring no news, by the poll's luck.
    ``warm``: the first processes have made an attempt at every task before.
    """

    start_at: float
    end_at: float
    tick_at: Sequence[float]
    tick_task: Sequence[str]
    streams: Mapping[str, Stream]
    machine: Machine
    onset_at: Sequence[float] = ()
    onset_riders: Sequence[int] = ()
    group_at: Sequence[float] = ()
    group_size: Sequence[int] = ()
    windows: tuple[Window, ...] = field(default=())
    arrivals: tuple[float, float] = (0.0, 1.0)
    blind: float = 0.0
    warm: bool = False

    def __post_init__(self) -> None:
        if not self.end_at > self.start_at:
            raise UsageError("a run must end after it starts")
        if len(self.tick_at) != len(self.tick_task):
            raise UsageError("every tick needs its task")
        if len(self.onset_at) != len(self.onset_riders):
            raise UsageError("every onset needs its riders")
        if len(self.group_at) != len(self.group_size):
            raise UsageError("every group needs its size")
        for name in ("tick_at", "onset_at", "group_at"):
            times: Sequence[float] = getattr(self, name)
            if any(late < early for early, late in pairwise(times)):
                raise UsageError(f"the tables' {name} is not sorted by time")
        missing = set(self.tick_task) - set(self.streams)
        if missing:
            raise UsageError(f"no demand is known for {', '.join(sorted(missing))}")

    @property
    def duration_s(self) -> float:
        """Length of the run."""
        return self.end_at - self.start_at
