"""The named scenarios, one row each."""

from collections.abc import Callable
from dataclasses import replace

from simulation.scenario import Event, Scenario
from worker.errors import UsageError


def _disruption(users: int, duration_s: float) -> Scenario:
    return Scenario(
        name="disruption",
        question="How soon do the riders of one delayed line know?",
        users=users,
        duration_s=duration_s,
        lines=96,
        onset_every_s=max(2.0, (duration_s - 60.0) / 96),
    )


def _network(users: int, duration_s: float) -> Scenario:
    """One line first, then all of them, worse, so that its riders are told again."""
    plain = _disruption(users, duration_s)
    return replace(
        plain,
        name="network",
        question="How soon does everybody know when all lines stop at once?",
        onset_every_s=duration_s - plain.warm_up_s - plain.settle_s,
        extra_events=(
            Event(
                at_s=plain.warm_up_s + plain.poll_period_s,
                kind="delay",
                value=2.0 * plain.delay_s,
                duration_s=duration_s,
            ),
        ),
    )


def _brownout(users: int, duration_s: float) -> Scenario:
    """NSW answers late for a third of the onsets' time, then not at all for a tenth."""
    plain = _disruption(users, duration_s)
    onsets_s = duration_s - plain.warm_up_s - plain.settle_s
    slow_s = onsets_s / 3
    return replace(
        plain,
        name="brownout",
        question="What do riders feel when NSW is slow, then fails?",
        extra_events=(
            Event(
                at_s=plain.warm_up_s + slow_s,
                kind="nsw_slow",
                value=2.0,
                duration_s=slow_s,
            ),
            Event(
                at_s=plain.warm_up_s + 2 * slow_s,
                kind="nsw_down",
                duration_s=onsets_s / 10,
            ),
        ),
    )


def _outage(users: int, duration_s: float) -> Scenario:
    """NSW is down while lines are delayed; all of them are told of when it is back."""
    plain = _disruption(users, duration_s)
    onsets_s = duration_s - plain.warm_up_s - plain.settle_s
    return replace(
        plain,
        name="outage",
        question="How soon is the backlog of an outage gone?",
        extra_events=(
            Event(
                at_s=plain.warm_up_s + onsets_s / 3,
                kind="nsw_down",
                duration_s=onsets_s / 2,
            ),
        ),
    )


SCENARIOS: dict[str, Callable[[int, float], Scenario]] = {
    "disruption": _disruption,
    "network": _network,
    "brownout": _brownout,
    "outage": _outage,
}


def scenario(
    name: str, *, users: int, duration_s: float, seed: int = 1, lines: int | None = None
) -> Scenario:
    """The named scenario at a size; raises UsageError for a name not in the table."""
    if name not in SCENARIOS:
        raise UsageError(
            f"there is no scenario '{name}'; choose one of {', '.join(SCENARIOS)}"
        )
    chosen = replace(SCENARIOS[name](users, duration_s), seed=seed)
    return chosen if lines is None else replace(chosen, lines=lines)
