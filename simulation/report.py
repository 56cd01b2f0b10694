"""The plan for people: figures, one self-contained page, tables on the screen."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from simulation import plots, validation_plots
from simulation.comparison import Comparison
from simulation.plan import Plan, verdicts
from worker.policy import POLICY
from worker.policy.objectives import LATE_PUSH_S

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Capacity plan</title>
<style>
 body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
        padding: 0 1rem; color: #222 }
 table { border-collapse: collapse; margin: 1rem 0; font-size: 13px }
 th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right;
          vertical-align: top }
 th:first-child, td:first-child, td.text { text-align: left }
 img { max-width: 100%; margin: .5rem 0 }
 .within { color: #1f6f8b } .outside { color: #b0413e; font-weight: 600 }
 .inconclusive { color: #8a6d00 }
</style>
<h1>Capacity plan</h1>
<p>{{ headline }}</p>
<p>Measured on {{ plan.machine }}; versions {{ plan.versions }}.</p>
{% for section in sections %}
<h2>{{ section.title }}</h2><p>{{ section.says }}</p>
{% if section.figure %}<img alt="{{ section.title }}"
 src="data:image/png;base64,{{ section.figure }}">{% endif %}
<table><tr>{% for name in section.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in section.rows %}<tr>{% for cell in row %}
<td class="{{ cell if cell in ('within', 'outside', 'inconclusive') else '' }}
{{- ' text' if cell is string and cell|length > 24 else '' }}">{{ cell }}</td>
{%- endfor %}</tr>{% endfor %}</table>
{% if section.notes %}<ul>{% for note in section.notes %}<li>{{ note }}</li>
{% endfor %}</ul>{% endif %}
{% endfor %}
</html>
"""

Section = dict[str, Any]


def figures(plan: Plan) -> dict[str, Figure]:
    """The plan's figures by file name."""
    document = plan.document
    drawn: dict[str, Figure] = {}
    if plan.cdf is not None and len(plan.cdf[0]):
        drawn["push_cdf"], ax = plots.figure()
        validation_plots.push_cdf(plan.cdf[0], plan.cdf[1], LATE_PUSH_S, ax)
    drawn["parity"], ax = plots.figure()
    validation_plots.parity(document["validation"], ax)
    for measure, unit in (("late_push_fraction", "share"), ("p95_push_s", "s")):
        drawn[measure], ax = plots.figure()
        promise = next(
            o.limit for o in POLICY.objectives.values() if o.measure == measure
        )
        plots.by_users(document["sweep"], measure, unit, ax, promise=promise)
    drawn["cost"], ax = plots.figure()
    cost = document["cost"]
    shown = [bill for bill in cost["by_users"] if bill["users"] <= 10_000]
    plots.cost_by_users(shown, cost["budget_usd"], ax)
    return drawn


def write(plan: Plan, out: Path) -> Path:
    """Write figures/*.png and report.html into ``out``; returns the page's path."""
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    embedded = {}
    for name, drawn in figures(plan).items():
        path = folder / f"{name}.png"
        drawn.savefig(path, dpi=plots.DPI)
        embedded[name] = base64.b64encode(path.read_bytes()).decode()
    page = Environment(autoescape=True).from_string(PAGE)
    html = page.render(
        plan=plan.document, headline=headline(plan), sections=_sections(plan, embedded)
    )
    target = out / "report.html"
    target.write_text(html)
    return target


def headline(plan: Plan) -> str:
    """What the plan says, in three sentences."""
    counts = verdicts(plan.comparisons)
    ours = [row for row in plan.rows if row.layout == "ours"]
    top = max(ours, key=lambda row: row.users)
    cost = next(
        bill for bill in plan.document["cost"]["by_users"] if bill["users"] == 1_000
    )
    return (
        f"Of {len(plan.comparisons)} metrics of runs that the model had not seen, "
        f"{counts['within']} were predicted within their threshold, "
        f"{counts['outside']} outside, {counts['inconclusive']} need longer runs. "
        f"At {top.users:,} users our layout pushes "
        f"{top.measures['late_push_fraction']:.1%} late in the hour of a storm, p95 "
        f"{top.measures['p95_push_s']:.1f} s. At 1,000 users the platform costs "
        f"{cost['usd_per_month']:.2f} USD a month, with Supabase Pro "
        f"{cost['with_supabase_pro']:.2f}."
    )


def show(plan: Plan, console: Console) -> None:
    """The plan's tables on the screen, narrow enough for 80 columns."""
    for section in _sections(plan, {}):
        table = Table(
            title=section["title"], title_justify="left", title_style="bold",
            box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
        )  # fmt: skip
        for number, name in enumerate(section["columns"]):
            table.add_column(name, justify="left" if number == 0 else "right")
        for row in section["rows"]:
            table.add_row(*[str(cell) for cell in row])
        console.print(table)
        for note in (section["says"], *section.get("notes", ())):
            console.print(f"  {note}", highlight=False, markup=False)
        console.print()
    console.print(headline(plan), highlight=False, markup=False)


def _sections(plan: Plan, figures: Mapping[str, str]) -> list[Section]:
    document = plan.document
    return [
        _measured(document["runs"]),
        _validation(plan, figures.get("push_cdf", figures.get("parity"))),
        _sweep(document["sweep"], figures.get("late_push_fraction")),
        _triggers(document["triggers"]),
        _cost(document["cost"], figures.get("cost")),
    ]


def _measured(runs: Sequence[Mapping[str, Any]]) -> Section:
    names = ("p50_push_s", "p95_push_s", "late_push_fraction", "lost")
    return {
        "title": "Measured on real workers",
        "says": "The model is calibrated on one and predicts the others, of which it "
        "reads the input alone: users, onsets, policy, the canary's cores.",
        "columns": (
            "run", "role", "users", "s", "pushes", "p50 s", "p95 s", "late", "lost",
        ),
        "rows": [
            (
                run["name"], run["role"], run.get("users"), f"{run['duration_s']:.0f}",
                run["pushes"], *(_number(run["measures"][name]) for name in names),
            )
            for run in runs
        ],
    }  # fmt: skip


def _validation(plan: Plan, figure: str | None) -> Section:
    counts = verdicts(plan.comparisons)
    noisy = "; ".join(plan.calibration.complaints)
    several = len({row.run for row in plan.comparisons}) > 1
    return {
        "title": "Predicted, then looked at: how far off",
        "says": f"{counts['within']} within, {counts['outside']} outside, "
        f"{counts['inconclusive']} inconclusive; {counts['covered']} of "
        f"{len(plan.comparisons)} measured values lie in the predicted 95 % interval."
        + (f" The calibration run is noisy: {noisy}." if noisy else ""),
        "columns": (
            "metric", "measured", "predicted", "95 % of such runs", "off", "allowed",
            "verdict",
        ),
        "rows": [
            (
                f"{row.run}: {row.metric}" if several else row.metric,
                _number(row.measured), _number(row.predicted),
                f"{_number(row.interval[0])} to {_number(row.interval[1])}",
                _percent(row.relative_error), _allowed(row),
                row.verdict,
            )
            for row in plan.comparisons
        ],
        "notes": [
            f"{row.run}, {row.metric}: {row.reason}"
            for row in plan.comparisons
            if row.verdict == "inconclusive"
        ],
        "figure": figure,
    }  # fmt: skip


def _sweep(rows: Sequence[Mapping[str, Any]], figure: str | None) -> Section:
    columns = {
        "late_push_fraction": "late", "p95_push_s": "p95 s", "p99_push_s": "p99 s",
        "queue_wait_p95_s": "wait s", "realtime_age_p99_s": "age s",
        "memory_mib": "MiB", "usd_per_month": "USD",
    }  # fmt: skip
    users = sorted({row["users"] for row in rows})
    shown = {users[0], users[len(users) // 2], users[-1]}
    return {
        "title": "Predicted: users by queue layout, in an hour with a storm and a sync",
        "says": "Means over the same hours for every layout; every fourth storm meets "
        "a throttled APNs. late: pushes after 20 s; wait: p95 in the queue; age: p99 "
        "of what a rider reads. plan.json holds every number of users, with intervals.",
        "columns": ("users", "layout", *columns.values()),
        "rows": [
            (f"{row['users']:,}", row["layout"], *(_number(row[n]) for n in columns))
            for row in rows
            if row["users"] in shown
        ],
        "figure": figure,
    }


def _triggers(rules: Sequence[Mapping[str, Any]]) -> Section:
    return {
        "title": "Predicted: when to add what",
        "says": "hits: of modelled hours with more than 5 % late pushes. The platform "
        "has no autoscaling: a rule is an alarm that says what to add. late, then: "
        "pushes of all storm hours without the rule, and with a child added, ready a "
        "minute after it fires.",
        "columns": (
            "rule", "signal", "above", "for s", "hits", "false/week", "late", "then",
        ),
        "rows": [
            (
                rule["name"], rule["signal"], _number(rule["threshold"]),
                f"{rule['sustain_s']:.0f}",
                "-" if rule["hit_rate"] is None else f"{rule['hit_rate']:.0%}",
                _number(rule["false_alarms_per_week"]),
                *(_share(rule[name]) for name in ("late_before", "late_after")),
            )
            for rule in rules
        ],
        "notes": [f"{rule['name']}: {rule['derivation']}" for rule in rules],
    }  # fmt: skip


def _cost(cost: Mapping[str, Any], figure: str | None) -> Section:
    at = cost["breaks_budget_at_users"]
    reach = f"from {at:,} users on" if at else "not below 1,000,000 users"
    return {
        "title": "Predicted: what a month costs on Railway",
        "says": f"The platform exceeds {cost['budget_usd']:g} USD {reach}; Supabase "
        "Pro alone uses the budget. Memory is what is paid for, not tasks.",
        "columns": (
            "users", "USD", "95 % interval", "+ Supabase Pro", "vCPU", "MiB",
        ),
        "rows": [
            (
                f"{bill['users']:,}", f"{bill['usd_per_month']:.2f}",
                f"{bill['interval'][0]:.2f} to {bill['interval'][1]:.2f}",
                f"{bill['with_supabase_pro']:.2f}", f"{bill['vcpu']:.2f}",
                f"{bill['memory_mib']:,.0f}",
            )
            for bill in cost["by_users"]
        ],
        "figure": figure,
    }  # fmt: skip


def _allowed(row: Comparison) -> str:
    """The threshold; as a difference where the floor is more than the share."""
    if row.floor > row.threshold * abs(row.measured):
        return f"±{_number(row.floor)}"
    return f"{row.threshold:.0%}"


def _percent(value: float) -> str:
    """A share for people; beyond 999 % its size says nothing."""
    return f"{value:+.1%}" if abs(value) < 10 else "> 999%"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "-"
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
