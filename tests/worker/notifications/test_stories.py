"""A rider hears of one story once, and of as much an hour as he can bear."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from worker.errors import PolicyError
from worker.policy import POLICY, vary

SYDNEY = ZoneInfo("Australia/Sydney")
LINE = {"route_id": "T1"}


def test_the_same_is_told_once_and_a_worse_delay_once_more(riders, match, happens, now):
    rider = riders.one(LINE, {"stop_id": "P1"})

    for delay_s in (600, 600, 650, 300, 900, 700, 950):
        match(happens.late(now, delay_s=delay_s))

    told = riders.told(rider)
    assert [row["delay_s"] for row in told] == [600, 900]
    assert len({row["collapse_id"] for row in told}) == 1


@pytest.mark.parametrize("favorite", [{"stop_id": "P1"}, LINE, {"trip_id": "trip-1"}])
def test_a_trip_late_by_the_same_all_day_is_told_once(
    riders, match, happens, now, favorite
):
    rider = riders.one(favorite)
    at = int((now + timedelta(hours=9)).timestamp())

    for hours in (0, 3.1, 6.2, 7.1, 8.9):
        match(
            happens.late(now, expected_at=at),
            now=now + timedelta(hours=hours),
        )

    assert len(riders.told(rider)) == 1


@pytest.mark.parametrize("favorite", [LINE, {"trip_id": "trip-1"}])
def test_a_trip_late_by_the_same_on_its_long_way_is_told_once(
    riders, match, happens, now, favorite
):
    rider = riders.one(favorite)

    for hours in (0, 1.6, 3.1, 6.2, 9.3):
        then = now + timedelta(hours=hours)
        match(happens.late(then, stop_id=f"P{hours}"), now=then)

    assert len(riders.told(rider)) == 1


@pytest.mark.parametrize("favorite", [LINE, {"stop_id": "P1"}, {"trip_id": "trip-1"}])
def test_the_longest_delay_is_told_before_the_trip_was_due(
    riders, match, happens, now, favorite
):
    rider = riders.one(favorite)
    expected_at = int((now + timedelta(minutes=30 + 240)).timestamp())

    match(happens.late(now, delay_s=240 * 60, expected_at=expected_at))

    assert len(riders.told(rider)) == 1


@pytest.mark.parametrize(
    ("favorite", "told"),
    [({"stop_id": "P1"}, 0), (LINE, 0), ({"trip_id": "trip-1"}, 1)],
)
def test_what_is_hours_away_is_told_to_those_of_the_trip_alone(
    riders, match, happens, now, favorite, told
):
    rider = riders.one(favorite)
    due_in_s = POLICY.matching.delay_lead_s + 1
    expected_at = int(now.timestamp()) + due_in_s + 600

    match(happens.late(now, delay_s=600, expected_at=expected_at))
    assert len(riders.told(rider)) == told

    match(happens.late(now, delay_s=600, expected_at=expected_at - 1))
    assert len(riders.told(rider)) == 1


def test_what_was_told_may_not_be_forgotten_while_it_goes_on():
    with pytest.raises(PolicyError, match="remembered_s must cover"):
        vary(POLICY, "matching.remembered_s", POLICY.matching.told_again_after_s)


def test_the_next_rider_of_a_phone_hears_what_the_last_one_heard(
    riders, match, happens, now, owner
):
    last = riders.one(LINE)
    next_ = uuid4()
    riders.insert("favorites", user_id=next_, **LINE)
    match(happens.late(now), alerts=(happens.alert(LINE),))

    owner.execute("update app.devices set user_id = %s", (next_,))
    match(happens.late(now), alerts=(happens.alert(LINE),))

    assert kinds(riders.told(last)) == kinds(riders.told(next_)) == ["alert", "delay"]


def kinds(told):
    return [row["kind"] for row in told]


def test_each_notification_has_an_apns_id_of_its_own(riders, match, happens, now):
    for _ in range(3):
        riders.one({"trip_id": "trip-1"}, {"trip_id": "trip-2"})

    for delay_s in (600, 900):
        late = [happens.late(now, delay_s=delay_s, trip_id=f"trip-{n}") for n in (1, 2)]
        match(*late)

    told = riders.told()
    assert len(told) == 12
    assert len({row["apns_id"] for row in told}) == 12


def test_other_trips_of_the_line_are_the_same_story_for_hours(
    riders, match, happens, now
):
    rider = riders.one(LINE)

    match(happens.late(now))
    match(happens.late(now, trip_id="trip-9", stop_id="Y"))
    evening = now + timedelta(hours=10)
    match(happens.late(evening, trip_id="trip-99"), now=evening)

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1", "trip-99"]


def test_a_delay_of_the_whole_morning_is_one_story(riders, match, happens, now):
    rider = riders.one(LINE)
    whole = [
        happens.late(now + timedelta(hours=hours), trip_id=f"trip-{hours}")
        for hours in range(6)
    ]

    match(*whole)
    match(*whole)

    assert len(riders.told(rider)) == 1


def test_a_story_is_not_told_again_because_a_block_begins(riders, match, happens, now):
    rider = riders.one(LINE)
    block_s = POLICY.matching.told_again_after_s
    begins = now + timedelta(seconds=block_s - now.timestamp() % block_s)
    just_before, just_after = (begins + timedelta(seconds=s) for s in (-60, 60))

    match(happens.late(just_before), now=just_before)
    match(happens.late(just_after, trip_id="trip-2"), now=just_after)

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1"]


def test_the_worst_of_many_trips_is_told(riders, match, happens, now):
    rider = riders.one(LINE)
    rows = [
        happens.late(now, trip_id=f"trip-{n}", delay_s=300 + n * 60) for n in range(20)
    ]

    match(*rows)

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-19"]


def test_two_trips_of_one_rider_are_two_stories(riders, match, happens, now):
    rider = riders.one({"trip_id": "trip-1"}, {"trip_id": "trip-2"}, LINE)

    match(happens.late(now), happens.late(now, trip_id="trip-2"))
    match(happens.late(now), happens.late(now, trip_id="trip-2"))

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1", "trip-2"]


def test_no_rider_hears_more_in_an_hour_than_the_cap(riders, match, happens, now):
    rider = riders.one(*({"route_id": f"L{n}"} for n in range(20)))
    rows = [happens.late(now, route_id=f"L{n}", trip_id=f"t{n}") for n in range(20)]

    first, second = match(*rows), match(*rows)
    an_hour_later = now + timedelta(minutes=61)
    again = [
        {**row, "expected_at": int(an_hour_later.timestamp()) + 900} for row in rows
    ]
    match(*again, now=an_hour_later)

    cap = POLICY.matching.max_per_rider_hour
    assert (len(first.ids), first.capped) == (cap, 20 - cap)
    assert (len(second.ids), second.capped) == (0, 20 - cap)
    assert len(riders.told(rider)) == 2 * cap


def test_a_policy_with_a_higher_cap_tells_more(riders, match, happens, now):
    riders.one(*({"route_id": f"L{n}"} for n in range(9)))
    rows = [happens.late(now, route_id=f"L{n}", trip_id=f"t{n}") for n in range(9)]

    matched = match(*rows, policy=vary(POLICY, "matching.max_per_rider_hour", 9))

    assert len(matched.ids) == 9


def test_a_rider_with_500_favorites_hears_of_a_line_once(riders, match, happens, now):
    rider = riders.one(*[LINE] * 250, *[{"route_id": "T1", "stop_id": "P1"}] * 250)

    match(happens.late(now))

    assert len(riders.told(rider)) == 1


def test_a_rider_with_500_lines_that_are_all_late_hears_of_a_few(
    riders, match, happens, now
):
    rider = riders.one(*({"route_id": f"L{n}"} for n in range(500)))
    rows = [happens.late(now, route_id=f"L{n}", trip_id=f"t{n}") for n in range(500)]

    matched = match(*rows)

    cap = POLICY.matching.max_per_rider_hour
    assert (len(riders.told(rider)), matched.capped) == (cap, 500 - cap)


def test_every_good_device_of_a_rider_is_told(riders, match, happens, now):
    rider = riders.one(LINE)
    riders.device(rider)
    riders.device(rider, environment="sandbox")
    riders.device(rider, disabled_at=now, disabled_reason="Unregistered")

    match(happens.late(now))
    match(happens.late(now), environment="sandbox")

    assert len(riders.told(rider)) == 3


@pytest.mark.parametrize(
    ("state", "times"), [("expired", 2), ("failed", 2), ("sent", 1), ("new", 1)]
)
def test_what_ended_unsent_was_not_told(riders, match, happens, now, state, times):
    rider = riders.one(LINE)
    match(happens.late(now))
    # As the sender leaves it: what ended unsent gives its key free.
    riders.owner.execute(
        "update app.notifications set state = %(state)s, collapse_id = case "
        "when %(state)s in ('expired', 'failed') then 'unsent' else collapse_id end",
        {"state": state},
    )
    later = now + timedelta(minutes=2)

    match(happens.late(later, trip_id="trip-2"), now=later)

    assert len(riders.told(rider)) == times


def test_a_key_that_is_there_already_keeps_nobody_else_untold(
    riders, match, happens, now, owner
):
    rider, other = riders.one(LINE), riders.one(LINE)
    match(happens.late(now))
    # As a replay that begins again leaves it: told long ago, in the same hours.
    owner.execute(
        "update app.notifications set matched_at = matched_at - '1 day'::interval"
    )
    owner.execute("delete from app.notifications where user_id = %s", (other,))

    match(happens.late(now))

    assert len(riders.told(rider)) == len(riders.told(other)) == 1


def test_two_matchers_at_once_tell_each_rider_once(riders, match, happens, now):
    everyone = [riders.one(LINE) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(match, happens.late(now)) for _ in range(8)]
        found = [len(run.result().ids) for run in runs]

    assert sorted(found) == [0] * 7 + [50]
    assert all(len(riders.told(rider)) == 1 for rider in everyone)


def test_alerts_that_stand_for_days_leave_room_for_a_delay(riders, match, happens, now):
    rider = riders.one(LINE)
    cap = POLICY.matching.max_per_rider_hour
    alerts = tuple(happens.alert(LINE, alert_id=f"alert-{n}") for n in range(cap))
    days_later = now + timedelta(days=3)

    match(alerts=alerts)
    matched = match(
        happens.late(days_later, service_date="20260618"), alerts=alerts, now=days_later
    )

    kinds = [row["kind"] for row in riders.told(rider)]
    assert kinds == ["alert"] * cap + ["delay"]
    assert matched.capped == 0
