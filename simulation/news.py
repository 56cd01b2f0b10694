"""How news passes the workers: polls that bring none, and when pushes arrive."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from simulation.demands import POLL, PUSH
from worker.records import Delivery, Outcome, TaskRecord


def arrival_shares(
    attempts: Sequence[TaskRecord], deliveries: Sequence[Delivery]
) -> tuple[float, float]:
    """When in a sender's time its first and its last push arrive, as shares of it.

    Senders that overlap are read as one group: its first arrival is of the sender that
    began first, its last of the one that ended last. (0, 1) when nothing arrived.
    """
    senders = sorted(
        (record.finished_at - record.service_s, record.finished_at)
        for record in attempts
        if record.task == PUSH and record.outcome is Outcome.SUCCEEDED
    )
    groups: list[list[tuple[float, float]]] = []
    for sender in senders:
        if groups and sender[0] <= max(end for _, end in groups[-1]):
            groups[-1].append(sender)
        else:
            groups.append([sender])
    arrived = np.sort([d.arrived_at for d in deliveries if d.arrived_at is not None])
    firsts, lasts = [], []
    for group in groups:
        begun, left = group[0], max(group, key=lambda sender: sender[1])
        within = slice(*np.searchsorted(arrived, (begun[0], left[1])))
        mine = arrived[within]
        if len(mine) and begun[1] > begun[0] and left[1] > left[0]:
            firsts.append((mine[0] - begun[0]) / (begun[1] - begun[0]))
            lasts.append((mine[-1] - left[0]) / (left[1] - left[0]))
    if not firsts:
        return 0.0, 1.0
    first = min(1.0, float(np.median(firsts)))
    return first, min(1.0, max(first, float(np.median(lasts))))


def blind_polls(
    attempts: Sequence[TaskRecord], deliveries: Sequence[Delivery]
) -> tuple[int, int]:
    """(blind, judged) polls: of those that could have brought news, how many did not.

    A poll asks for the feeds that are due; a feed that is slowed down, refused or
    broken is not asked, and riders wait for a later poll. A poll is judged when delays
    were published before it that no earlier poll had brought.
    """
    starts = sorted(
        record.finished_at - record.service_s
        for record in attempts
        if record.task == POLL and record.outcome is Outcome.SUCCEEDED
    )
    matched: dict[float, float] = {}
    for push in deliveries:
        if push.arrived_at is not None:
            at = push.published_at
            matched[at] = min(push.matched_at, matched.get(at, np.inf))
    blind = judged = 0
    for start, following in pairwise((*starts, np.inf)):
        waiting = [m for at, m in matched.items() if at < start < m]
        judged += bool(waiting)
        blind += bool(waiting) and min(waiting) > following
    return blind, judged
