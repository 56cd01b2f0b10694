"""How news passes the workers: polls that bring none, and when pushes arrive."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from simulation.demands import MATCH, POLL, PUSH
from simulation.estimates import units_of
from worker.records import Delivery, Outcome, TaskRecord

ENQUEUED_WITHIN_S = 0.1
"""After a match: its batches are published before it is closed, or right after."""


def arrival_shares(
    attempts: Sequence[TaskRecord], deliveries: Sequence[Delivery]
) -> tuple[float, float]:
    """When in a sender's time its first and its last push arrive, as shares of it.

    The pushes of one match are read as one group: the first arrival is of the sender
    that began first, the last of the one that ended last. A match whose senders cannot
    be told from others' is left out. (0, 1) when nothing arrived.
    """
    done = [record for record in attempts if record.outcome is Outcome.SUCCEEDED]
    senders = sorted(
        (record for record in done if record.task == PUSH), key=lambda r: r.enqueued_at
    )
    batch = max((units_of(record) for record in senders), default=0)
    arrivals = sorted(
        (push.matched_at, push.arrived_at)
        for push in deliveries
        if push.arrived_at is not None
    )
    firsts: list[float] = []
    lasts: list[float] = []
    for match in done:
        if match.task != MATCH or not units_of(match):
            continue
        begun_at = match.finished_at - match.service_s
        group = _senders_of(match, begun_at, senders, batch)
        mine = [
            arrived_at
            for matched_at, arrived_at in arrivals
            if begun_at <= matched_at <= match.finished_at
        ]
        if not group or not mine:
            continue
        begun = min(group, key=lambda r: r.finished_at - r.service_s)
        ended = max(group, key=lambda r: r.finished_at)
        for record, at, shares in (
            (begun, min(mine), firsts),
            (ended, max(mine), lasts),
        ):
            since = at - (record.finished_at - record.service_s)
            if record.service_s > 0:
                shares.append(min(1.0, max(0.0, since / record.service_s)))
    if not firsts:
        return 0.0, 1.0
    first = float(np.median(firsts))
    return first, max(first, float(np.median(lasts)))


def _senders_of(
    match: TaskRecord, begun_at: float, senders: Sequence[TaskRecord], batch: int
) -> list[TaskRecord]:
    """The senders that got a match's notifications, by when and how many; empty when
    not all are found.
    """
    whole, rest = divmod(units_of(match), batch)
    wanted = [batch] * whole + ([rest] if rest else [])
    group = []
    for record in senders:
        soon = begun_at <= record.enqueued_at <= match.finished_at + ENQUEUED_WITHIN_S
        if soon and units_of(record) in wanted:
            wanted.remove(units_of(record))
            group.append(record)
    return [] if wanted else group


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
