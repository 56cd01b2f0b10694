"""The developer's alarms: what is watched, since when it is wrong, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from worker.errors import PolicyError
from worker.records import Sample

State = Literal["quiet", "firing", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """Fires when samples ``sample`` of ``label`` stay above ``threshold`` for
    ``sustain_s`` seconds; the unit is that of the sample.

    ``action`` is the first thing to do. A ``scaling`` alarm says what to add: the
    platform adds nothing by itself.
    """

    name: str
    sample: str
    label: str
    threshold: float
    sustain_s: int
    kind: Literal["page", "warning", "scaling"]
    action: str
    reason: str

    def __post_init__(self) -> None:
        if self.sustain_s < 0 or self.threshold < 0:
            raise PolicyError(
                f"alarms.{self.name}: threshold and sustain_s must not be negative"
            )

    def state(self, samples: Sequence[Sample], *, now: float) -> State:
        """Firing when every sample of the last ``sustain_s`` seconds is too high.

        Unknown while there is no sample in that time, or none that old: silence is
        not health. Pure, so that the model's closed loop runs this very rule.
        """
        mine = [s for s in samples if (s.name, s.label) == (self.sample, self.label)]
        recent = [s for s in mine if s.at >= now - self.sustain_s]
        if not recent:
            return "unknown"
        if any(s.value <= self.threshold for s in recent):
            return "quiet"
        if self.sustain_s and min(s.at for s in mine) > now - self.sustain_s:
            return "unknown"
        return "firing"


ALARMS: dict[str, Alarm] = {
    alarm.name: alarm
    for alarm in (
        Alarm(
            name="critical_waits",
            sample="oldest_age_s",
            label="critical",
            threshold=15.0,
            sustain_s=60,
            kind="page",
            action="Look at `python -m worker status`; restart the service rt.",
            reason="A tick of the poller lives 12 s: older ones mean nothing is taken.",
        ),
        Alarm(
            name="normal_waits",
            sample="oldest_age_s",
            label="normal",
            threshold=30.0,
            sustain_s=600,
            kind="scaling",
            action="Add a child: `--set pools.bg.children` one higher, then deploy.",
            reason=(
                "Waiting, not depth, is what riders feel; 10 minutes outlast a burst."
            ),
        ),
        Alarm(
            name="realtime_is_old",
            sample="success_age_s",
            label="gtfs_rt_poller",
            threshold=45.0,
            sustain_s=60,
            kind="page",
            action="Look at `python -m worker status` and at NSW's status page.",
            reason="The objective realtime_age: three polls at the busiest cadence.",
        ),
        Alarm(
            name="pushes_are_refused",
            sample="paused",
            label="apns_worker",
            threshold=0.0,
            sustain_s=30,
            kind="page",
            action="Run `python -m worker dead`: it names what Apple refuses.",
            reason=(
                "Senders rest while Apple refuses the provider or knows none of the "
                "phones, and rows end in 10 min."
            ),
        ),
        Alarm(
            name="pushes_are_wrong",
            sample="mistakes",
            label="apns_worker",
            threshold=0.0,
            sustain_s=0,
            kind="page",
            action="Run `python -m worker dead`: it names what Apple does not take.",
            reason=(
                "Apple does not take what we made, nor will it the next time: those "
                "riders hear nothing until a deploy."
            ),
        ),
        Alarm(
            name="matching_has_stopped",
            sample="success_age_s",
            label="alert_matcher",
            threshold=300.0,
            sustain_s=0,
            kind="page",
            action="Run `python -m worker match --once`; it prints what is wrong.",
            reason=(
                "The next tick heals one that failed; two of 2 min and a minute to run "
                "without success are no accident, and nobody is told of anything."
            ),
        ),
        Alarm(
            name="timetable_is_old",
            sample="success_age_s",
            label="gtfs_static_sync",
            threshold=26 * 3600.0,
            sustain_s=0,
            kind="page",
            action="Run `python -m worker sync`; it prints what is wrong.",
            reason="One day and the longest sync with its retries.",
        ),
    )
}
