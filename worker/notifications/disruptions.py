"""What may be told, as the columns that the match statement takes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress
from typing import Any

from worker.notifications.service_days import service_day, today
from worker.policy.notifications import Matching
from worker.realtime.alerts import Alert

_AS_GIVEN = (
    *("kind", "route_id", "stop_id", "trip_id", "service_date"),
    *("delay_s", "expected_at", "published_at"),
)
NO_CAUSE = ("", "UNKNOWN_CAUSE", "OTHER_CAUSE")


@dataclass(kw_only=True, slots=True)
class Disruptions:
    """Rows as columns. All times are epoch seconds of the service clock.

    ``to_at`` ends the time in which a rider is concerned: a vehicle's expected time; it
    begins ``delay_s`` before. Of alerts, which come first, ``alerts_from_at`` says when
    it begins. ``alert``: index in ``alerts``, -1 for none; of a delay it is the alert
    that explains it.
    ``skipped``: rows with a service date that is none, or too far from now.
    """

    kind: list[str] = field(default_factory=list)
    route_id: list[str] = field(default_factory=list)
    stop_id: list[str] = field(default_factory=list)
    trip_id: list[str] = field(default_factory=list)
    service_date: list[str] = field(default_factory=list)
    delay_s: list[int] = field(default_factory=list)
    expected_at: list[int | None] = field(default_factory=list)
    to_at: list[int] = field(default_factory=list)
    published_at: list[float] = field(default_factory=list)
    alert: list[int] = field(default_factory=list)
    alerts_from_at: list[int] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    skipped: int = 0
    _explained: dict[tuple[str, str], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.kind)

    def add_delays(
        self, delays: Mapping[str, Sequence[Any]], matching: Matching, now: datetime
    ) -> None:
        """Late, canceled and replaced trips that can still be caught.

        ``delays``: one sequence a field of ``Delay``, as ``read`` gives them.
        """
        now_s = int(now.timestamp())
        near = {
            date
            for date in set(delays["service_date"])
            if (day := service_day(date)) is not None
            and -matching.trip_tail_s <= day.starts_at - now_s <= matching.trip_lead_s
        }
        known = [date in near for date in delays["service_date"]]
        self.skipped += known.count(False)
        soon_s = now_s + matching.least_notice_s
        latest_s = now_s + matching.trip_lead_s + matching.trip_tail_s
        coming = [
            fine and (at is None or soon_s < at <= latest_s)
            for fine, at in zip(known, delays["expected_at"], strict=True)
        ]
        rows = {name: list(compress(delays[name], coming)) for name in delays}
        to_at = [at or now_s for at in rows["expected_at"]]
        lines = zip(rows["route_id"], rows["trip_id"], strict=True)
        for name in _AS_GIVEN:
            getattr(self, name).extend(rows[name])
        self.to_at.extend(to_at)
        self.alert.extend(
            (self._explanation(*line) for line in lines)
            if self._explained
            else [-1] * len(to_at)
        )

    def without_line(self) -> list[str]:
        """The trips whose line the feed leaves out."""
        if "" not in self.route_id:
            return []
        named = zip(self.route_id, self.trip_id, strict=True)
        # PostgreSQL's text cannot hold this one character.
        return sorted({trip for line, trip in named if not line and "\0" not in trip})

    def name_lines(self, lines: Mapping[str, str]) -> None:
        """Say of trips without a line which one they are of."""
        named = zip(self.route_id, self.trip_id, strict=True)
        self.route_id = [line or lines.get(trip, "") for line, trip in named]

    def without_time(self) -> list[int]:
        """Rows of delays whose vehicle the feed does not say when to expect."""
        return [
            row
            for row, at in enumerate(self.expected_at)
            if at is None and self.kind[row] == "delay"
        ]

    def expect(self, expected_at: Mapping[int, int], now: datetime) -> None:
        """Say of rows when their vehicle is expected; what has left is told no more."""
        now_s = int(now.timestamp())
        for row, at in expected_at.items():
            self.expected_at[row] = self.to_at[row] = at
        left = {row for row, at in expected_at.items() if at <= now_s}
        if left:
            stays = [row not in left for row in range(len(self))]
            for name in (*_AS_GIVEN, "to_at", "alert"):
                setattr(self, name, list(compress(getattr(self, name), stays)))

    def _explanation(self, route_id: str, trip_id: str) -> int:
        """The alert that gives a cause for it: one of its trip, or of its line."""
        of_line = self._explained.get((route_id, ""), -1)
        return self._explained.get(("", trip_id), of_line)

    def add_alerts(
        self, alerts: Iterable[Alert], matching: Matching, now: datetime
    ) -> None:
        """Service alerts that hold within the policy's lead, for each line, stop and
        trip that they name; one that names none of these concerns nobody. To be added
        before the delays that they explain.
        """
        now_s = int(now.timestamp())
        until_s = now_s + matching.alert_lead_s
        date = today(now)
        for alert in alerts:
            held = _concerned(alert, now_s, until_s)
            if held is None:
                continue
            named = {
                (each.route_id, each.stop_id, each.trip_id) for each in alert.informed
            }
            for route_id, stop_id, trip_id in sorted(named - {("", "", "")}):
                self.kind.append("alert")
                self.route_id.append(route_id)
                self.stop_id.append(stop_id)
                self.trip_id.append(trip_id)
                self.service_date.append(date)
                self.delay_s.append(0)
                self.expected_at.append(None)
                self.alerts_from_at.append(held[0])
                self.to_at.append(held[1])
                self.published_at.append(float(now_s))
                self.alert.append(len(self.alerts))
                if not stop_id and alert.cause not in NO_CAUSE:
                    of = ("", trip_id) if trip_id else (route_id, "")
                    self._explained.setdefault(of, len(self.alerts))
            self.alerts.append(_as_json(alert))


def _concerned(alert: Alert, now_s: int, until_s: int) -> tuple[int, int] | None:
    """The part of now to ``until_s`` in which the alert holds; None for no part."""
    if not alert.periods:
        return now_s, until_s
    for start, end in alert.periods:
        first = max(now_s, start if start is not None else now_s)
        last = min(until_s, end if end is not None else until_s)
        if first < last:
            return first, last
    return None


def _as_json(alert: Alert) -> str:
    said = {
        "id": alert.alert_id,
        "cause": alert.cause,
        "effect": alert.effect,
        "title": alert.title,
        "text": alert.text,
    }
    return json.dumps({name: _storable(text) for name, text in said.items()})


def _storable(text: str) -> str:
    """Without what PostgreSQL's text cannot hold: NUL, and halves of a character."""
    return text.replace("\0", "").encode(errors="replace").decode()
