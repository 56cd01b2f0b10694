"""What a rider reads, and the bytes that Apple takes: at most 4,096 of UTF-8 JSON.

https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worker.notifications.disruptions import NO_CAUSE
from worker.notifications.names import Names
from worker.notifications.outbox import Claimed
from worker.notifications.service_days import SYDNEY
from worker.notifications.text import clean
from worker.policy.notifications import Push

LIMIT_BYTES = 4096
_LINE, _STOP, _CAUSE = 32, 64, 48
_ID_BYTES = 200  # of an id from a feed, as JSON holds it; a longer one is left out


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """What is shown on the phone."""

    title: str
    body: str


def text_of(claimed: Claimed, names: Names, push: Push) -> Text:
    """Line, stop, planned and expected time in Sydney, and the cause if one is known.

    What is not known is left out: an unknown line is "Your line", an unknown stop is
    not named.
    """
    line = clean(names.routes.get(claimed.route_id, ""), _LINE) or "Your line"
    stop = clean(names.stops.get(claimed.stop_id, ""), _STOP)
    title, body = _WORDS[claimed.kind](claimed, line, stop)
    cause = _cause(claimed.alert)
    room = push.body_limit - len(cause)
    return Text(
        title=clean(title, push.title_limit), body=f"{clean(body, room)}{cause}"
    )


def payload_of(claimed: Claimed, text: Text) -> bytes:
    """The JSON that is sent; ids let the app open the right screen."""
    ids = {
        "route_id": claimed.route_id,
        "stop_id": claimed.stop_id,
        "trip_id": claimed.trip_id,
    }
    known = {name: id_ for name, id_ in ids.items() if id_ and _is_short(id_)}
    thread = {"thread-id": known["route_id"]} if "route_id" in known else {}
    return json.dumps(
        {
            "aps": {
                "alert": {"title": text.title, "body": text.body},
                "sound": "default",
                "interruption-level": "time-sensitive",
                **thread,
            },
            "notification": claimed.apns_id,
            "kind": claimed.kind,
            "service_date": claimed.service_date.isoformat(),
            **known,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode("utf-8", "replace")


def _is_short(id_: str) -> bool:
    """Whether it costs few bytes: JSON makes six of one control character."""
    return len(json.dumps(id_, ensure_ascii=False).encode()) - 2 <= _ID_BYTES


def _late(claimed: Claimed, line: str, stop: str) -> tuple[str, str]:
    minutes = max(1, round(claimed.delay_s / 60))
    title = f"{line}: {minutes} min late"
    at = f" at {stop}" if stop else ""
    if claimed.expected_at is None:
        return title, f"Services{at} are running late."
    # A database that answers in Sydney's time would have the clock's hours subtracted.
    planned = claimed.expected_at.astimezone(UTC) - timedelta(seconds=claimed.delay_s)
    return (
        title,
        f"The {_clock(planned)}{at} is now expected at {_clock(claimed.expected_at)}.",
    )


def _canceled(claimed: Claimed, line: str, stop: str) -> tuple[str, str]:
    at = f" at {stop}" if stop else ""
    if claimed.expected_at is None:
        return f"{line}: a service is cancelled", f"A service{at} will not run."
    planned = _clock(claimed.expected_at)
    return f"{line}: the {planned} is cancelled", f"The {planned}{at} will not run."


def _replaced(claimed: Claimed, line: str, stop: str) -> tuple[str, str]:
    """Of the trips that NSW's trains call replaced nearly all run, by other times."""
    at = f" at {stop}" if stop else ""
    if claimed.expected_at is None:
        return (
            f"{line}: a service has changed",
            f"A service{at} runs to another timetable; check before you leave.",
        )
    planned = _clock(claimed.expected_at)
    return (
        f"{line}: the {planned} has changed",
        f"The {planned}{at} runs to another timetable; check before you leave.",
    )


def _announced(claimed: Claimed, line: str, stop: str) -> tuple[str, str]:
    said = claimed.alert or {}
    where = line if claimed.route_id else stop or line
    title = clean(said.get("title", ""), 10_000)
    text = clean(said.get("text", ""), 10_000)
    if not title:
        return f"{where}: service alert", text or "See the app for details."
    return title, text or f"This concerns {where}."


_WORDS = {
    "delay": _late,
    "canceled": _canceled,
    "replaced": _replaced,
    "alert": _announced,
}


def _cause(alert: dict[str, str] | None) -> str:
    cause = (alert or {}).get("cause", "")
    if cause in NO_CAUSE:
        return ""
    return f" Cause: {clean(cause.replace('_', ' ').lower(), _CAUSE)}."


def _clock(at: datetime) -> str:
    return at.astimezone(SYDNEY).strftime("%H:%M")
