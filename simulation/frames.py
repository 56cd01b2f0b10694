"""A run as pandas frames and arrays: what notebooks and validation read."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from simulation.runs import Run
from simulation.tables import Floats
from worker.measures import Recorded
from worker.records import Delivery, Sample, TaskRecord, as_row


def task_frame(run: Run | Recorded) -> pd.DataFrame:
    """One row an attempt, with wait_s, service_s and sojourn_s."""
    records = _recorded(run).tasks
    frame = pd.DataFrame(
        [as_row(record) for record in records], columns=_fields(TaskRecord)
    )
    for name in ("wait_s", "service_s", "sojourn_s"):
        frame[name] = [getattr(record, name) for record in records]
    return frame


def delivery_frame(run: Run | Recorded) -> pd.DataFrame:
    """One row a push, with push_s: published to arrived, NaN when it never did."""
    frame = pd.DataFrame(
        [as_row(record) for record in _recorded(run).deliveries],
        columns=_fields(Delivery),
    )
    for name in ("sent_at", "arrived_at"):
        frame[name] = pd.to_numeric(frame[name])
    frame["push_s"] = frame["arrived_at"] - frame["published_at"]
    return frame


def sample_frame(run: Run | Recorded) -> pd.DataFrame:
    """One row a reading."""
    return pd.DataFrame(
        [as_row(record) for record in _recorded(run).samples], columns=_fields(Sample)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Clustered:
    """Values and the cluster that each belongs to: what happened together.

    Pushes of one onset waited for the same poll, attempts of one poll period met the
    same ticks; a bootstrap must draw them together.
    """

    values: Floats
    clusters: Floats

    def of(self, cluster: float) -> Floats:
        """The values of one cluster."""
        mine: Floats = self.values[self.clusters == cluster]
        return mine


def pushes(recorded: Recorded) -> Clustered:
    """Published to arrived of each first arrival, by onset; infinite when lost."""
    first: dict[str, tuple[float, float]] = {}
    for push in recorded.deliveries:
        arrived = np.inf if push.arrived_at is None else push.arrived_at
        onset, before = first.get(push.notification_id, (push.published_at, np.inf))
        first[push.notification_id] = (onset, min(before, arrived))
    table = np.array(list(first.values()), dtype=np.float64).reshape(-1, 2)
    return Clustered(
        values=table[:, 1] - table[:, 0], clusters=np.round(table[:, 0], 3)
    )


def attempts(recorded: Recorded, column: str, period_s: float) -> Clustered:
    """``wait_s``, ``service_s`` or ``sojourn_s`` of started attempts, by period."""
    started = [record for record in recorded.tasks if record.started_at is not None]
    return Clustered(
        values=np.array([getattr(r, column) for r in started], dtype=np.float64),
        clusters=np.array(
            [r.enqueued_at // period_s for r in started], dtype=np.float64
        ),
    )


def _recorded(run: Run | Recorded) -> Recorded:
    return run.records if isinstance(run, Run) else run


def _fields(kind: type[TaskRecord] | type[Delivery] | type[Sample]) -> list[str]:
    return list(kind.__dataclass_fields__)
