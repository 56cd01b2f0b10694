import pytest

from simulation.cost import BRIEF, bill, bills, breaks_budget_at, mean_vcpu
from simulation.demands import SYNC, assumed_sync
from simulation.layout import Layout
from simulation.memory import peak_mib, pool_mib
from simulation.prices import PRICES, usd
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
