"""A run and its predictions resampled together: how sure an error is."""

from collections.abc import Sequence

import numpy as np

from simulation.clusters import Clustered
from simulation.intervals import relative
from simulation.metrics import Metric
from simulation.tables import Floats
from simulation.workload import stream

SNAP_S = 1.0
RESAMPLES = 400


def pooled(models: Sequence[Clustered]) -> tuple[Clustered, int]:
    """Replications of one belief as one, and how many they are."""
    values = np.concatenate([model.values for model in models])
    clusters = np.concatenate([model.clusters for model in models])
    return Clustered(values=values, clusters=clusters), len(models)


def resampled(
    metric: Metric,
    real: Clustered,
    beliefs: Sequence[tuple[Clustered, int]],
    seconds: float,
    seed: int,
) -> tuple[Floats, Floats]:
    """Bootstrap over clusters, the same clusters on both sides: what both sides know
    (when each delay was published) cancels, what only one side shows remains. Each
    resample believes another resample of the calibration's attempts.
    """
    if not len(real.values):
        return np.array([np.nan]), np.array([np.nan])
    known = [real.clusters, *(model.clusters for model, _ in beliefs)]
    ids = np.unique(np.concatenate(known))
    mine = {cluster: real.of(cluster) for cluster in ids}
    models = [{c: model.of(c) for c in ids} for model, _ in beliefs]
    least = metric.floor / metric.threshold
    rng = stream(seed, metric.name, metric.of, "bootstrap")
    measured, errors = [], []
    for draw in range(RESAMPLES):
        chosen = ids[rng.integers(len(ids), size=len(ids))]
        number = draw % len(beliefs)
        model, replications = models[number], beliefs[number][1]
        real_figure = metric.figure(np.concatenate([mine[c] for c in chosen]), seconds)
        model_figure = metric.figure(
            np.concatenate([model[c] for c in chosen]), seconds * replications
        )
        measured.append(real_figure)
        errors.append(relative(model_figure, real_figure, least=least))
    return np.array(measured), np.array(errors)


def snapped(real: Clustered, clusters: Floats) -> Clustered:
    """The run's clusters named as the model names them: a push says when its delay was
    published in whole seconds of the feed's header, the event list says it exactly.
    """
    known = np.unique(clusters)
    if not len(known) or not len(real.clusters):
        return real
    after = np.clip(np.searchsorted(known, real.clusters), 1, len(known) - 1)
    if len(known) == 1:
        after = np.zeros_like(after)
    before = np.maximum(after - 1, 0)
    nearer = np.where(
        np.abs(known[before] - real.clusters) <= np.abs(known[after] - real.clusters),
        known[before],
        known[after],
    )
    close = np.abs(nearer - real.clusters) <= SNAP_S
    return Clustered(
        values=real.values, clusters=np.where(close, nearer, real.clusters)
    )
