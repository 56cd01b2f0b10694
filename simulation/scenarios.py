"""The named scenarios, one row each."""

from collections.abc import Callable
from dataclasses import replace

from simulation.scenario import Event, Scenario
from worker.errors import UsageError

WEEKDAY = (
    (5.0, 0.01), (1.5, 0.06), (3.0, 0.26), (5.5, 0.218), (3.5, 0.325), (5.5, 0.127)
)  # fmt: skip
"""Hours from midnight on, and the share of a weekday's travel in them: assumed, after
NSW rail's shares of peaks and between (BTS table 24)."""

GROUP_LEAST, GROUP_MOST = 20, 180
GROUP_MEAN = (GROUP_LEAST + GROUP_MOST) / 2
"""Notifications of one delayed line: some stay below a batch, some take two."""


def _disruption(
    users: int,
    duration_s: float,
    *,
    name: str = "disruption",
    question: str = "How soon do the riders of one delayed line know?",
) -> Scenario:
    return Scenario(
        name=name,
        question=question,
        users=users,
        duration_s=duration_s,
        lines=96,
        onset_every_s=max(2.0, (duration_s - 60.0) / 96),
    )


def _network(users: int, duration_s: float) -> Scenario:
    """One line first, then all of them, worse, so that its riders are told again."""
    plain = _disruption(
        users,
        duration_s,
        name="network",
        question="How soon does everybody know when all lines stop at once?",
    )
    return replace(
        plain,
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


def _met(plain: Scenario, duration_s: float) -> float:
    """The duration of a fault of NSW, or that which no poll can miss."""
    return max(duration_s, plain.poll_period_s + 1.0)


def _brownout(users: int, duration_s: float) -> Scenario:
    """NSW answers late for a third of the onsets' time, then not at all for a tenth;
    in a short run for as long as a poll needs to meet it.
    """
    plain = _disruption(
        users,
        duration_s,
        name="brownout",
        question="What do riders feel when NSW is slow, then fails?",
    )
    onsets_s = duration_s - plain.warm_up_s - plain.settle_s
    slow_at_s = plain.warm_up_s + onsets_s / 3
    slow_s, down_s = _met(plain, onsets_s / 3), _met(plain, onsets_s / 10)
    return replace(
        plain,
        extra_events=(
            Event(
                at_s=slow_at_s,
                kind="nsw_slow",
                value=2.0,
                duration_s=slow_s,
            ),
            Event(
                at_s=slow_at_s + slow_s,
                kind="nsw_down",
                duration_s=down_s,
            ),
        ),
    )


def _outage(users: int, duration_s: float) -> Scenario:
    """NSW is down while lines are delayed; all of them are told of when it is back."""
    plain = _disruption(
        users,
        duration_s,
        name="outage",
        question="How soon is the backlog of an outage gone?",
    )
    onsets_s = duration_s - plain.warm_up_s - plain.settle_s
    return replace(
        plain,
        extra_events=(
            Event(
                at_s=plain.warm_up_s + onsets_s / 3,
                kind="nsw_down",
                duration_s=_met(plain, onsets_s / 2),
            ),
        ),
    )


def _weekday(users: int, duration_s: float) -> Scenario:
    """A Sydney weekday from midnight to midnight, in the minutes of the run."""
    plain = _disruption(
        users,
        duration_s,
        name="weekday",
        question="What does a rider feel over a day, its peaks and its lulls?",
    )
    return replace(
        plain,
        day=tuple((hours / 24, share) for hours, share in WEEKDAY),
        readers=max(1, users // 500),
    )


def _sync_under_load(users: int, duration_s: float) -> Scenario:
    """Timetables come while senders are busy: each takes one of their children."""
    plain = _disruption(
        users,
        duration_s,
        name="sync_under_load",
        question="Do riders wait for the sync of the timetable?",
    )
    onsets_s = duration_s - plain.warm_up_s - plain.settle_s
    return replace(
        plain,
        groups_per_s=(users / GROUP_MEAN / 20,),
        group_least=GROUP_LEAST,
        group_most=GROUP_MOST,
        extra_events=tuple(
            Event(at_s=plain.warm_up_s + onsets_s * share, kind="sync")
            for share in (0.1, 0.4, 0.7)
        ),
    )


def _steady(
    users: int,
    duration_s: float,
    *,
    name: str = "steady",
    question: str = "What do senders cost at a stated rate, and where does it queue?",
) -> Scenario:
    """Besides a few onsets, each user is sent a push every hundred seconds or so."""
    plain = _disruption(users, duration_s, name=name, question=question)
    return replace(
        plain,
        groups_per_s=(users / GROUP_MEAN / 100,),
        group_least=GROUP_LEAST,
        group_most=GROUP_MOST,
    )


def _ramp(users: int, duration_s: float) -> Scenario:
    """Eight rates, each as much above the one before; at the last one all users are
    told of something every ten seconds.
    """
    plain = _steady(
        users,
        duration_s,
        name="ramp",
        question="At which rate do senders not keep up any more?",
    )
    most = users / GROUP_MEAN / 10
    return replace(
        plain,
        groups_per_s=tuple(most * step / 8 for step in range(1, 9)),
    )


def _replay(users: int, duration_s: float) -> Scenario:
    """Few lines more are delayed than were on the day that was recorded."""
    plain = _disruption(
        users,
        duration_s,
        name="replay",
        question="Does it hold on what NSW really published?",
    )
    onsets_s = duration_s - plain.warm_up_s - plain.settle_s
    return replace(
        plain,
        lines=12,
        onset_every_s=max(2.0, onsets_s / 12),
        readers=max(1, users // 500),
        recorded=True,
    )


SCENARIOS: dict[str, Callable[[int, float], Scenario]] = {
    "disruption": _disruption,
    "network": _network,
    "brownout": _brownout,
    "outage": _outage,
    "weekday": _weekday,
    "sync_under_load": _sync_under_load,
    "replay": _replay,
    "steady": _steady,
    "ramp": _ramp,
}


def scenario(
    name: str,
    *,
    users: int,
    duration_s: float,
    seed: int = 1,
    lines: int | None = None,
    groups_per_s: float | None = None,
) -> Scenario:
    """The named scenario at a size, with other lines or another rate where they are
    given; raises UsageError for a name not in the table and for what cannot be.
    """
    if name not in SCENARIOS:
        raise UsageError(
            f"there is no scenario '{name}'; choose one of {', '.join(SCENARIOS)}"
        )
    chosen = replace(SCENARIOS[name](users, duration_s), seed=seed)
    if lines is not None:
        chosen = replace(chosen, lines=lines)
    if groups_per_s is not None:
        if len(chosen.groups_per_s) > 1:
            raise UsageError(
                f"scenario {name} has {len(chosen.groups_per_s)} rates, which grow "
                "with its users: give it more --users, or choose steady for one rate"
            )
        chosen = replace(
            chosen,
            groups_per_s=(groups_per_s,),
            group_least=GROUP_LEAST,
            group_most=GROUP_MOST,
        )
    return chosen
