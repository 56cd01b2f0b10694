"""What a rider reads, and what Apple takes."""

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.notifications.names import Names
from worker.notifications.outbox import Claimed
from worker.notifications.payload import LIMIT_BYTES, Text, payload_of, text_of
from worker.policy import POLICY

NAMES = Names(routes={"T1": "T1 North Shore"}, stops={"P1": "Central, Platform 1"})
# 08:30 in Sydney, in winter and in summer.
WINTER = datetime(2026, 6, 14, 22, 30, tzinfo=UTC)
SUMMER = datetime(2026, 12, 14, 21, 30, tzinfo=UTC)


def claimed(**changed) -> Claimed:
    return Claimed(
        **{
            "id": 1,
            "apns_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
            "device_token": "ab" * 32,
            "kind": "delay",
            "route_id": "T1",
            "stop_id": "P1",
            "trip_id": "trip-1",
            "service_date": date(2026, 6, 15),
            "delay_s": 900,
            "expected_at": WINTER,
            "alert": None,
            "collapse_id": "c",
            "published_at": 0.0,
            "matched_at": 0.0,
            "expires_at": 0.0,
            "attempt": 1,
            **changed,
        }
    )


ALERT = {"title": "Trackwork", "text": "Buses replace trains.", "cause": "MAINTENANCE"}


@pytest.mark.parametrize(
    ("changed", "title", "body"),
    [
        (
            {},
            "T1 North Shore: 15 min late",
            "The 08:15 at Central, Platform 1 is now expected at 08:30.",
        ),
        (
            {"expected_at": SUMMER},
            "T1 North Shore: 15 min late",
            "The 08:15 at Central, Platform 1 is now expected at 08:30.",
        ),
        (
            {"alert": ALERT},
            "T1 North Shore: 15 min late",
            "The 08:15 at Central, Platform 1 is now expected at 08:30."
            " Cause: maintenance.",
        ),
        (
            {"route_id": "?", "stop_id": "?"},
            "Your line: 15 min late",
            "The 08:15 is now expected at 08:30.",
        ),
        (
            {"expected_at": None},
            "T1 North Shore: 15 min late",
            "Services at Central, Platform 1 are running late.",
        ),
        (
            {"kind": "canceled", "delay_s": 0},
            "T1 North Shore: the 08:30 is cancelled",
            "The 08:30 at Central, Platform 1 will not run.",
        ),
        (
            {"kind": "canceled", "expected_at": None, "stop_id": ""},
            "T1 North Shore: a service is cancelled",
            "A service will not run.",
        ),
        (
            {"kind": "replaced", "delay_s": 0},
            "T1 North Shore: the 08:30 has changed",
            "The 08:30 at Central, Platform 1 runs to another timetable; "
            "check before you leave.",
        ),
        (
            {"kind": "alert", "alert": ALERT},
            "Trackwork",
            "Buses replace trains. Cause: maintenance.",
        ),
        (
            {"kind": "alert", "alert": {"title": "", "text": ""}, "route_id": ""},
            "Central, Platform 1: service alert",
            "See the app for details.",
        ),
    ],
    ids=range(10),
)
def test_a_rider_reads_line_stop_and_times_in_sydney(changed, title, body):
    text = text_of(claimed(**changed), NAMES, POLICY.push)

    assert text == Text(title=title, body=body)


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Australia/Sydney")], ids=str)
def test_a_delay_over_the_end_of_summer_time_is_planned_when_it_was(zone):
    # 3:00 becomes 2:00: half an hour before the second 2:10 it was 2:40.
    at = datetime(2026, 4, 4, 16, 10, tzinfo=UTC).astimezone(zone)

    text = text_of(claimed(expected_at=at, delay_s=1800), NAMES, POLICY.push)

    assert text.body.startswith("The 02:40 at Central")
    assert text.body.endswith("now expected at 02:10.")


def test_a_novel_of_a_stop_name_leaves_room_for_the_times():
    names = Names(routes={"T1": "L" * 500}, stops={"P1": "S" * 5_000})

    text = text_of(claimed(alert={"cause": "W" * 500}), names, POLICY.push)

    assert text.title.endswith("15 min late")
    assert "expected at 08:30. Cause:" in text.body
    assert len(text.body) <= POLICY.push.body_limit


any_text = st.text(max_size=3_000)
ugly = st.text(alphabet='\x01\x1f"\\é👩x', min_size=20, max_size=210)


@given(
    kind=st.sampled_from(["delay", "canceled", "replaced", "alert"]),
    route=any_text,
    stop=any_text,
    ids=any_text | ugly,
    title=any_text,
    body=any_text,
    cause=any_text,
)
def test_no_feed_makes_a_payload_that_apple_refuses(
    kind, route, stop, ids, title, body, cause
):
    names = Names(routes={ids: route}, stops={ids: stop})
    row = claimed(
        kind=kind,
        route_id=ids.encode("utf-8", "replace").decode(),
        stop_id=ids.encode("utf-8", "replace").decode(),
        trip_id=ids.encode("utf-8", "replace").decode(),
        alert={"title": title, "text": body, "cause": cause},
    )

    text = text_of(row, names, POLICY.push)
    payload = payload_of(row, text)

    assert len(payload) <= LIMIT_BYTES
    alert = json.loads(payload)["aps"]["alert"]
    assert alert == {"title": text.title, "body": text.body}
    assert alert["title"]


def test_ids_of_control_characters_do_not_swell_beyond_what_apple_takes():
    ids = dict.fromkeys(("route_id", "stop_id", "trip_id"), "\x01" * 200)
    row = claimed(**ids)

    payload = payload_of(row, text_of(row, NAMES, POLICY.push))

    assert len(payload) <= LIMIT_BYTES
    assert set(ids).isdisjoint(json.loads(payload))


def test_the_app_is_told_which_line_stop_and_trip_it_is_about():
    row = claimed()

    told = json.loads(payload_of(row, text_of(row, NAMES, POLICY.push)))

    assert (told["route_id"], told["stop_id"], told["trip_id"]) == (
        "T1",
        "P1",
        "trip-1",
    )
    assert told["aps"]["thread-id"] == "T1"
