import pytest

from loadtests import quota_day
from simulation import plots
from worker.policy import POLICY, vary
from worker.policy.feeds import planned_per_day


@pytest.fixture(scope="module")
def spent():
    """The day that is plotted."""
    return quota_day.spend(POLICY)


def test_the_cadence_spends_what_the_policy_plans(spent):
    of_day = spent.iloc[-1]

    planned = planned_per_day(POLICY.feeds, POLICY.realtime)
    disrupted = planned_per_day(POLICY.feeds, POLICY.realtime, disrupted=True)

    # A tick asks only so many feeds, so the first round takes three ticks.
    assert of_day[quota_day.DEPLOYED] == pytest.approx(planned, abs=20)
    assert of_day[quota_day.DISRUPTED] == pytest.approx(disrupted, abs=20)
    share = POLICY.quota.planned_share * POLICY.quota.granted_per_day
    assert of_day[quota_day.DISRUPTED] + POLICY.quota.other_requests_per_day < share


def test_every_feed_at_every_tick_is_dark_before_the_evening(spent):
    granted = POLICY.quota.granted_per_day

    # 15 feeds, 4 times a minute: 60,000 requests last 16 hours and 40 minutes.
    assert quota_day.dark_from(spent[quota_day.EAGER], granted) == 16.75
    assert quota_day.dark_from(spent[quota_day.DEPLOYED], granted) is None


def test_a_slower_feed_spends_less():
    slower = vary(POLICY, "feeds.buses_trips.intervals.day_s", 30)

    less = len(quota_day.asked(POLICY)) - len(quota_day.asked(slower))

    day_hours = POLICY.realtime.hours("day")
    assert less == pytest.approx(day_hours * 120, abs=5)


def test_the_figure_says_who_keeps_the_quota(spent):
    _, ax = plots.figure()

    plots.quota_day(
        {plan: spent[plan].to_numpy() for plan in spent},
        spent.index.to_numpy(),
        POLICY.quota,
        ax,
    )

    assert ax.get_title(loc="left") == (
        "The plan takes 60% of the quota; every feed each tick is dark by 16:45"
    )
    assert len(ax.lines) == 3 + 2
