"""The plan as a page: figures, and one self-contained file that shows them."""

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment
from matplotlib.figure import Figure

from simulation import plots, validation_plots
from simulation.plan import Plan
from simulation.sections import headline, sections
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
 th:first-child, td:first-child { text-align: left }
 img { max-width: 100%; margin: .5rem 0 }
 .within { color: #1f6f8b } .outside { color: #b0413e; font-weight: 600 }
 .inconclusive { color: #8a6d00 }
</style>
<h1>Capacity plan</h1>
<p>{{ headline }}</p>
<p>Measured on {{ words(plan.machine) }}, with {{ words(plan.versions) }}.</p>
{% for section in sections %}
<h2>{{ section.title }}</h2><p>{{ section.says }}</p>
{% for name in section.figures if name in figures %}
<img alt="{{ section.title }}: {{ name }}"
 src="data:image/png;base64,{{ figures[name] }}">
{% endfor %}
<table><tr>{% for name in section.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in section.rows %}<tr>{% for cell in row %}
<td class="{{ 'inconclusive' if cell is string and cell.startswith('needs ') else cell
if cell in ('within', 'outside', 'inconclusive') else '' }}">{{ cell }}</td>
{%- endfor %}</tr>{% endfor %}</table>
{% if section.notes %}<ul>{% for note in section.notes %}<li>{{ note }}</li>
{% endfor %}</ul>{% endif %}
{% endfor %}
</html>
"""


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
        plan=plan.document,
        headline=headline(plan),
        sections=sections(plan),
        figures=embedded,
        words=_words,
    )
    target = out / "report.html"
    target.write_text(html)
    return target


def _words(what: object) -> str:
    """Names and values in a line."""
    if isinstance(what, Mapping):
        return ", ".join(f"{name} {value}" for name, value in what.items())
    return str(what)
