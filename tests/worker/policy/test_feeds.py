import pytest

from worker.errors import PolicyError
from worker.policy import POLICY, vary
from worker.policy.feeds import planned_per_day, planned_per_quarter


def test_the_plan_and_a_disrupted_day_stay_below_the_share():
    quota, feeds, limits = POLICY.quota, POLICY.feeds, POLICY.realtime
    allowed = quota.planned_share * quota.granted_per_day

    planned = planned_per_day(feeds, limits)
    disrupted = planned_per_day(feeds, limits, disrupted=True)

    assert planned < disrupted < allowed - quota.other_requests_per_day
    assert planned == pytest.approx(
        4
        * sum(
            limits.hours(period) * planned_per_quarter(feeds, period)
            for period in ("peak", "day", "night")
        )
    )


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("feeds.alerts.intervals.peak_s", 15, "requests in a disrupted day"),
        ("feeds.alerts.intervals.peak_s", 90, "intervals grow"),
        ("feeds.alerts.stale_s", 60, "two peak intervals"),
        ("quota.per_s", 5, "must stay below"),
        ("quota.stop_at", 60_000, "must stay below"),
        ("realtime.collapse_share", 1.0, "between 0 and 1"),
        ("realtime.night_hours", "6,7", "not both"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_in_one_sentence(path, value, said):
    with pytest.raises(PolicyError, match=said):
        vary(POLICY, path, value)


def test_a_feed_may_be_asked_less_often():
    slower = vary(POLICY, "feeds.buses_trips.intervals.day_s", 30)

    before = planned_per_day(POLICY.feeds, POLICY.realtime)
    assert planned_per_day(slower.feeds, slower.realtime) < before
