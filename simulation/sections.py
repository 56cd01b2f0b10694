"""What a plan says, section by section: the same on the page and on the screen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulation.comparison import Comparison
from simulation.plan import Plan
from simulation.tally import tally
from simulation.words import allowed, number, percent, share, span


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A table and what must be known to read it; ``figures`` are named."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    says: str = ""
    notes: Sequence[str] = ()
    figures: tuple[str, ...] = ()


def headline(plan: Plan) -> str:
    """What the plan says, in some sentences."""
    counts = tally(plan.comparisons)
    ours = [row for row in plan.rows if row.layout == "ours"]
    top = max(ours, key=lambda row: row.users)
    cost = next(
        bill for bill in plan.document["cost"]["by_users"] if bill["users"] == 1_000
    )
    return (
        f"Of {len(plan.comparisons)} figures of runs that the model had not seen, "
        f"held against their threshold: {counts.verdicts()}. "
        f"At {top.users:,} users our layout pushes "
        f"{top.measures['late_push_fraction']:.1%} late in the hour of a storm, p95 "
        f"{top.measures['p95_push_s']:.1f} s. At 1,000 users the platform costs "
        f"{cost['usd_per_month']:.2f} USD a month, with Supabase Pro "
        f"{cost['with_supabase_pro']:.2f}."
    )


def sections(plan: Plan) -> list[Section]:
    """The whole plan, in reading order."""
    document = plan.document
    return [
        measured(document["runs"]),
        validation(plan.comparisons, plan.calibration.complaints),
        swept(document["sweep"]),
        _triggers(document["triggers"]),
        _cost(document["cost"]),
    ]


def measured(runs: Sequence[Mapping[str, Any]]) -> Section:
    """The runs on real workers, as plan.json describes them."""
    names = ("p50_push_s", "p95_push_s", "late_push_fraction", "lost")
    return Section(
        title="Measured on real workers",
        says="The model is calibrated on one and predicts the others, of which it "
        "reads the input alone: users, onsets, policy, the canary's cores.",
        columns=(
            *("run", "role", "users", "s", "pushes", "p50 s", "p95 s", "late", "lost"),
        ),
        rows=[
            (
                *(run["name"], run["role"], run.get("users")),
                *(f"{run['duration_s']:.0f}", run["pushes"]),
                *(number(run["measures"][name]) for name in names),
            )
            for run in runs
        ],
    )


def validation(rows: Sequence[Comparison], noise: Sequence[str] = ()) -> Section:
    """Predictions beside what was measured; ``noise`` of the calibration run."""
    counts = tally(rows)
    reasons = dict.fromkeys(
        row.reason for row in rows if row.reason and row.needed_s is None
    )
    return Section(
        title="Predicted, then looked at: how far off",
        says=f"{counts.verdicts()}; {counts.coverage()}."
        + (f" The calibration run is noisy: {'; '.join(noise)}." if noise else ""),
        columns=(
            *("metric", "measured", "model", "95 % within", "off"),
            *("allowed", "verdict"),
        ),
        rows=list(_by_run(rows)),
        notes=list(reasons),
        figures=("push_cdf", "parity"),
    )


def swept(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Users by layouts; of many numbers of users the first, the middle and the last."""
    columns = {
        **{"late_push_fraction": "late", "p95_push_s": "p95 s", "p99_push_s": "p99 s"},
        **{"queue_wait_p95_s": "wait s", "realtime_age_p99_s": "age s"},
        **{"memory_mib": "MiB", "usd_per_month": "USD"},
    }
    users = sorted({row["users"] for row in rows})
    shown = {users[0], users[len(users) // 2], users[-1]}
    return Section(
        title="Predicted: users by queue layout, in an hour with a storm and a sync",
        says="Means over the same hours for every layout; every fourth storm meets "
        "a throttled APNs. late: pushes after 20 s; wait: p95 in the queue; age: p99 "
        "of what a rider reads. The JSON holds every number of users, with intervals.",
        columns=("users", "layout", *columns.values()),
        rows=[
            (f"{row['users']:,}", row["layout"], *(number(row[n]) for n in columns))
            for row in rows
            if row["users"] in shown
        ],
        figures=("late_push_fraction", "p95_push_s"),
    )


def _triggers(rules: Sequence[Mapping[str, Any]]) -> Section:
    return Section(
        title="Predicted: when to add what",
        says="hits: of the times in which pushes were late, in simulated weeks. The "
        "platform has no autoscaling: a rule is an alarm that says what to add. late, "
        "then: pushes at the most users tried, without the rule and with a replica's "
        "children added half a minute to two minutes after it fires.",
        columns=(
            *("rule", "signal", "above", "for s", "hits", "false/week"),
            *("late", "then"),
        ),
        rows=[
            (
                *(rule["name"], rule["signal"], number(rule["threshold"])),
                f"{rule['sustain_s']:.0f}",
                "-" if rule["hit_rate"] is None else f"{rule['hit_rate']:.0%}",
                number(rule["false_alarms_per_week"]),
                *(share(rule[name]) for name in ("late_before", "late_after")),
            )
            for rule in rules
        ],
        notes=[f"{rule['name']}: {rule['derivation']}" for rule in rules],
    )


def _cost(cost: Mapping[str, Any]) -> Section:
    at = cost["breaks_budget_at_users"]
    reach = f"from {at:,} users on" if at else "not below 1,000,000 users"
    return Section(
        title="Predicted: what a month costs on Railway",
        says=f"The platform exceeds {cost['budget_usd']:g} USD {reach}; Supabase "
        "Pro alone uses the budget. Memory is what is paid for, not tasks.",
        columns=("users", "USD", "95 % interval", "+ Supabase Pro", "vCPU", "MiB"),
        rows=[
            (
                *(f"{bill['users']:,}", f"{bill['usd_per_month']:.2f}"),
                "{:.2f} to {:.2f}".format(*bill["interval"]),
                *(f"{bill['with_supabase_pro']:.2f}", f"{bill['vcpu']:.2f}"),
                f"{bill['memory_mib']:,.0f}",
            )
            for bill in cost["by_users"]
        ],
        figures=("cost",),
    )


def _by_run(rows: Sequence[Comparison]) -> Iterator[tuple[str, ...]]:
    """A line each, under a line that says which run's and whose attempts they are."""
    several = len({row.run for row in rows}) > 1
    for run, of in dict.fromkeys((row.run, row.of) for row in rows):
        yield (f"[{run}, {of}]" if several else f"[{of}]", *[""] * 6)
        yield from (_compared(row) for row in rows if (row.run, row.of) == (run, of))


def _compared(row: Comparison) -> tuple[str, ...]:
    return (
        row.metric,
        number(row.measured),
        number(row.predicted),
        span(row.interval),
        percent(row.relative_error),
        allowed(row.threshold, row.floor, row.measured),
        row.verdict if row.needed_s is None else f"needs {row.needed_s:.0f} s",
    )
