"""One Delivery for each push that was due, joined from what four witnesses say.

The switchboard says when a delay was published, the outbox when it was matched and
sent, Apple's stand-in what arrived when, the assignment who should have heard of it.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from loadtests.assignment import Assignment
from loadtests.rig.population import token_of
from worker.records import Delivery

UNMATCHED = "unmatched"
"""Outcome of a push that no notification was ever made for."""

_NOTIFICATIONS = """
select n.apns_id::text, d.token, n.route_id, extract(epoch from n.matched_at)::float8,
       extract(epoch from n.sent_at)::float8, n.state
from app.notifications n join app.devices d on d.id = n.device_id
where n.matched_at >= to_timestamp(%s)
"""


_MATCHED = """
select extract(epoch from matched_at)::float8 from app.notifications where apns_id = %s
"""

SHARED = 24
"""Characters that the ids of all pushes of one match begin with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """A row of the outbox; times are epoch seconds."""

    apns_id: str
    token: str
    route: str
    matched_at: float
    sent_at: float | None
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A push that reached the device."""

    at: float
    token: str
    apns_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A delay as the switchboard put it into the feed; ``trips`` of it were running."""

    at: float
    routes: tuple[str, ...]
    trips: int


def read_outbox(admin_url: str, since: float) -> list[Notification]:
    """The notifications that were matched since that epoch second."""
    with psycopg.connect(admin_url) as db:
        return [
            Notification(
                apns_id=apns_id,
                token=token,
                route=route,
                matched_at=matched_at,
                sent_at=sent_at,
                state=state,
            )
            for apns_id, token, route, matched_at, sent_at, state in db.execute(
                _NOTIFICATIONS, (since,)
            )
        ]


class Matches:
    """When pushes were matched, asked of the outbox once for those of one match.

    Without an address nobody is asked; ``complain`` hears of one that does not answer.
    """

    def __init__(self, admin_url: str, complain: Callable[[Exception], None]) -> None:
        self._admin_url = admin_url
        self._complain = complain
        self._known: dict[str, float] = {}

    def at(self, apns_id: str) -> float | None:
        """Epoch seconds; None when it is not known, which the next push asks again."""
        match = apns_id[:SHARED].lower()
        if match not in self._known and self._admin_url:
            matched_at = self._read(apns_id)
            if matched_at is not None:
                self._known[match] = matched_at
        return self._known.get(match)

    def _read(self, apns_id: str) -> float | None:
        try:
            with psycopg.connect(self._admin_url) as db:
                row = db.execute(_MATCHED, (apns_id,)).fetchone()
        except psycopg.Error as error:
            self._complain(error)
            return None
        return None if row is None else float(row[0])


def published(events: Iterable[Mapping[str, Any]], since: float) -> list[Published]:
    """The switchboard's events since that epoch second."""
    return [
        Published(
            at=float(event["published_at"]),
            routes=tuple(event["lines"]),
            trips=int(event["trips"]),
        )
        for event in events
        if event["published_at"] >= since
    ]


def arrived(arrivals: Iterable[Mapping[str, Any]]) -> list[Arrival]:
    """The pushes that the stand-in took."""
    return [
        Arrival(at=float(a["at"]), token=a["token"], apns_id=a["apns_id"])
        for a in arrivals
        if a["status"] == 200
    ]


def join(
    run: Assignment,
    delays: Sequence[Published],
    outbox: Iterable[Notification],
    arrivals: Iterable[Arrival],
) -> list[Delivery]:
    """For each delay of a rider's line the first notification that he was due.

    A row for each arrival of it (a second one is a duplicate), or one row without.
    Later notifications of the same delay (it grew, another trip joined) are not what
    he waited for. With two delays between two matches the first notification after
    them tells of both. A delay that nobody matched counts too: it is lost, matched at
    the end of the run for want of another instant. ``published_at`` is the
    switchboard's.
    """
    of_rider: dict[str, list[Notification]] = defaultdict(list)
    for notification in outbox:
        of_rider[notification.token].append(notification)
    at_device: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        at_device[arrival.apns_id.lower()].append(arrival)
    of_route: dict[str, list[Published]] = defaultdict(list)
    for delay in delays:
        for route in delay.routes:
            of_route[route].append(delay)
    rows: list[Delivery] = []
    for user in range(run.scenario.users):
        token = token_of(run.scenario.seed, user)
        mine = of_rider.get(token, [])
        spans = _spans(of_route.get(run.route_of(user), []), run.ends_at)
        for delay, until in spans:
            after = [n for n in mine if delay.at <= n.matched_at]
            first = min(after, key=lambda n: n.matched_at, default=None)
            if first is None:
                rows.append(_unmatched(delay, user, token, run.ends_at))
                continue
            came = _delivered(delay, first, at_device[first.apns_id.lower()])
            if first.matched_at < until:
                rows += came
            else:  # it is the next delay's too: of this one, a row of its own
                own = f"{first.apns_id} of {delay.at:.3f}"
                rows.append(replace(came[0], notification_id=own))
    return rows


def _spans(delays: list[Published], end: float) -> list[tuple[Published, float]]:
    """Each delay of a route, and until when what is matched belongs to it."""
    untils = [delay.at for delay in delays[1:]] + [max(end, time.time())]
    return list(zip(delays, untils, strict=False))


def _delivered(
    delay: Published, notification: Notification, arrivals: list[Arrival]
) -> list[Delivery]:
    return [
        Delivery(
            notification_id=notification.apns_id,
            published_at=delay.at,
            matched_at=notification.matched_at,
            sent_at=notification.sent_at,
            arrived_at=arrival.at if arrival else None,
            outcome=notification.state,
            token=notification.token,
        )
        for arrival in arrivals or (None,)
    ]


def _unmatched(delay: Published, user: int, token: str, end: float) -> Delivery:
    return Delivery(
        notification_id=f"{UNMATCHED}-{user}-{delay.at:.3f}",
        published_at=delay.at,
        matched_at=max(end, delay.at),
        sent_at=None,
        arrived_at=None,
        outcome=UNMATCHED,
        token=token,
    )
