"""Values of a run with the cluster that each belongs to: what was drawn together."""

from dataclasses import dataclass

import numpy as np

from simulation.tables import Floats
from worker.measures import Recorded


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
