"""Where a ramp bends: the rate at which the senders do not keep up any more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulation.scenario import DRAIN_S
from worker.measures import Recorded, quantile
from worker.policy.objectives import OBJECTIVES

PUSH = "apns_worker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One rate of a ramp: notifications a second that its scenario states, and that
    were published (their groups fall by chance); how long their messages waited.
    """

    stated_per_s: float
    offered_per_s: float
    wait_p95_s: float
    kept_up: bool


def steps_of(about: Mapping[str, Any], run: Recorded) -> list[Step]:
    """The steps of a run with several rates; none for another run.

    Senders keep up while the 95th percentile of the wait is what is promised
    (``objectives.queue_wait``). A message that never ended has waited until the end of
    the run (older runs do not tell of any). A step in which something was offered and
    nobody served, or left to the sweep because the queue was too long, was not kept up
    with; one in which nothing was offered says nothing.
    """
    scenario = about["scenario_as_run"]
    rates: Sequence[float] = scenario.get("groups_per_s", ())
    if len(rates) < 2:
        return []
    begins_at = run.started_at + scenario["warm_up_s"]
    group_mean = (scenario["group_least"] + scenario["group_most"]) / 2
    lasts_s = (run.finished_at - DRAIN_S - begins_at) / len(rates)
    groups = about["groups"]
    published = list(zip(groups["published_at"], groups["notifications"], strict=True))
    messages = [(r.enqueued_at, r.wait_s) for r in run.of_task(PUSH).tasks]
    messages += [(at, run.finished_at - at) for at in groups.get("unended_at", ())]
    steps = []
    for number, rate in enumerate(rates):
        start = begins_at + number * lasts_s
        end = start + lasts_s
        offered = sum(size for at, size in published if start <= at < end)
        waits = (wait_s for at, wait_s in messages if start <= at < end)
        wait_p95_s = quantile(waits, 0.95)
        refused = any(start <= at < end for at in groups.get("left_at", ()))
        in_time = not refused and OBJECTIVES["queue_wait"].met(wait_p95_s)
        steps.append(
            Step(
                stated_per_s=rate * group_mean,
                offered_per_s=offered / lasts_s,
                wait_p95_s=wait_p95_s,
                kept_up=not offered or in_time,
            )
        )
    return steps


def knee_of(steps: Sequence[Step]) -> Step | None:
    """The first step that was not kept up with; None when all were."""
    return next((step for step in steps if not step.kept_up), None)
