from dataclasses import replace

import numpy as np
import pytest

from simulation.assumptions import ASSUMPTIONS, believed
from simulation.cost import (
    BRIEF,
    bill,
    bills,
    breaks_budget_at,
    database_plan,
    mean_vcpu,
)
from simulation.demands import SYNC, assumed_sync
from simulation.layout import Layout
from simulation.memory import peak_mib, pool_mib, standing_mib
from simulation.prices import PRICES, usd
from simulation.providers import breaks, machine_usd, options
from worker.errors import UsageError
from worker.policy import POLICY, vary
from worker.records import Sample


@pytest.fixture
def layout():
    return Layout.of(POLICY)


def test_every_price_says_when_and_where_it_was_seen():
    assert all(
        price.source.startswith("https://") and price.seen_on.startswith("20")
        for price in PRICES.values()
    )


@pytest.mark.parametrize(
    ("users", "full_use_usd"), [(1_000, 15.0), (5_000, 30.0), (10_000, 50.0)]
)
def test_the_briefs_lines_are_checked_against_the_price_list(users, full_use_usd):
    (line,) = [line for line in BRIEF if line.users == users]

    assert line.list_usd == full_use_usd


def test_polling_costs_the_same_for_nobody_and_for_everybody(truth, layout):
    nobody = mean_vcpu(truth, layout, 0)
    everybody = mean_vcpu(truth, layout, 10_000)

    assert nobody > 0
    assert everybody < 1.5 * nobody


def test_a_bill_is_the_sum_of_its_lines_and_never_below_the_subscription(truth, layout):
    month = bill(truth, layout, 10_000)

    assert month.platform_usd == pytest.approx(sum(month.lines.values()))
    assert month.interval[0] <= month.platform_usd <= month.interval[1]
    assert month.platform_usd >= usd("railway_hobby")
    assert month.with_supabase_pro_usd == month.platform_usd + 25.0


def test_more_users_never_cost_less(truth, layout):
    totals = [b.platform_usd for b in bills(truth, layout, (0, 1_000, 10_000, 100_000))]

    assert totals == sorted(totals)


def test_the_budget_breaks_where_the_bill_says(truth, layout):
    at = breaks_budget_at(truth, layout)

    assert bill(truth, layout, at).platform_usd > 25.0
    assert bill(truth, layout, at - 200).platform_usd <= 25.0


def test_a_child_more_costs_its_memory(truth):
    wider = Layout.of(vary(POLICY, "pools.bg.children", 5))

    before, after = (pool_mib(truth, each)["bg"] for each in (Layout.of(POLICY), wider))

    heaviest = max(
        max(truth.demands[t].rss_mib) for t in ("alert_matcher", "apns_worker")
    )
    assert after - before == pytest.approx(2 * heaviest)


def test_one_child_at_a_time_syncs(truth, layout):
    with_sync = truth.demands | {SYNC: assumed_sync()}
    bigger = type(truth)(
        **{
            name: getattr(truth, name)
            for name in truth.__dataclass_fields__
            if name != "demands"
        },
        demands=with_sync,
    )

    extra = pool_mib(bigger, layout)["bg"] - pool_mib(truth, layout)["bg"]

    assert 0 < extra < 250.0


def test_peaks_of_processes_are_added_up():
    samples = [
        Sample(at=1.0, name="memory_mib", label="rt", value=100.0),
        Sample(at=2.0, name="memory_mib", label="rt", value=140.0),
        Sample(at=2.0, name="memory_mib", label="bg", value=60.0),
        Sample(at=2.0, name="depth", label="bg", value=999.0),
    ]

    assert peak_mib(samples) == 200.0


def test_a_gauged_pool_costs_its_parent_and_its_largest_child_each_time(truth, layout):
    gauges = {"bg/parent": 40.0, "bg/child-0": 90.0, "bg/child-1": 50.0}
    gauged = replace(truth, memory_mib=gauges)

    found = standing_mib(gauged, layout)

    assert found["bg"] == 40.0 + layout.pools["bg"].children * 90.0
    assert found["rt"] == pool_mib(gauged, layout, sync=False)["rt"]


def test_an_interval_holds_what_is_believed_of_the_users_own_api(truth, layout):
    month = bill(truth, layout, 10_000)

    low, high = month.interval
    assert high - low > 2.0  # the API alone may take 2 to 12 USD of cores


@pytest.mark.parametrize(("users", "plan"), [(1_000, "free"), (200_000, "pro")])
def test_supabase_pro_is_paid_when_free_is_too_small(truth, layout, users, plan):
    month = bill(truth, layout, users)

    assert month.database == plan
    extra = 25.0 if plan == "pro" else 0.0
    assert month.total_usd == pytest.approx(month.platform_usd + extra)


def test_the_first_break_of_the_budget_is_the_databases(truth, layout):
    rows = breaks(truth, layout)

    assert [row.users for row in rows] == sorted(row.users for row in rows)
    first = rows[0]
    assert first.usd_per_month > 25.0
    assert database_plan(first.users - 100, believed())[0] == "free"
    assert database_plan(first.users + 100, believed())[0] == "pro"


def test_upstash_by_the_command_is_dear_before_the_first_user(truth, layout):
    rows = {row.name: row.usd_by_users for row in options(truth, layout, (0, 1_000))}

    assert (
        rows["Railway, Upstash by the command"][0] > rows["Railway, its Redis"][0] + 5
    )
    for by_users in rows.values():
        assert by_users[1_000] >= by_users[0]


@pytest.mark.parametrize(
    ("mib", "usd_a_month"), [(100, 2.32), (257, 3.80), (1024, 6.79), (2048, 11.79)]
)
def test_a_machine_is_the_smallest_that_holds_it(mib, usd_a_month):
    assert machine_usd(mib) == pytest.approx(usd_a_month)


def test_an_assumption_outside_its_own_range_is_refused():
    row = ASSUMPTIONS["beat_mib"]

    with pytest.raises(UsageError, match="beat_mib is 1"):
        replace(row, value=1.0)


def test_what_is_believed_lies_in_its_range():
    drawn = believed(np.random.default_rng(1))

    assert all(row.low <= drawn[name] <= row.high for name, row in ASSUMPTIONS.items())
    assert believed()["beat_mib"] == ASSUMPTIONS["beat_mib"].value
