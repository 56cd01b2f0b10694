"""A run as pandas frames: what notebooks read."""

import pandas as pd

from simulation.runs import Run
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


def _recorded(run: Run | Recorded) -> Recorded:
    return run.records if isinstance(run, Run) else run


def _fields(kind: type[TaskRecord] | type[Delivery] | type[Sample]) -> list[str]:
    return list(kind.__dataclass_fields__)
