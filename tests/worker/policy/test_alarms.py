"""An alarm's rule on samples: what fires, what is quiet, what is unknown."""

import pytest

from worker.errors import PolicyError
from worker.operate.tables import TABLES
from worker.policy import POLICY
from worker.policy.alarms import Alarm
from worker.records import Sample

NOW = 10_000.0
ALARM = Alarm(
    name="normal_waits",
    sample="oldest_age_s",
    label="normal",
    threshold=30.0,
    sustain_s=60,
    kind="page",
    action="Look.",
    reason="Of the test.",
)


def samples(*values, every_s=10, label="normal"):
    """The last one now, the others before it."""
    first = NOW - every_s * (len(values) - 1)
    return [
        Sample(at=first + every_s * n, name="oldest_age_s", label=label, value=value)
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        pytest.param(samples(*[40.0] * 8), "firing", id="high throughout"),
        pytest.param(samples(*[40.0] * 7, 10.0), "quiet", id="low again"),
        pytest.param(samples(0.0, *[40.0] * 7), "firing", id="low, but long ago"),
        pytest.param(samples(*[40.0] * 3, 1.0, *[40.0] * 3), "quiet", id="a dip"),
        pytest.param(samples(*[40.0] * 3), "unknown", id="not for long enough"),
        pytest.param(samples(*[30.0] * 8), "quiet", id="at the threshold"),
        pytest.param([], "unknown", id="silence"),
        pytest.param(
            samples(*[40.0] * 8, label="batch"), "unknown", id="another queue"
        ),
    ],
)
def test_an_alarm_fires_when_every_sample_of_its_time_is_too_high(seen, state):
    assert ALARM.state(seen, now=NOW) == state


def test_old_samples_alone_are_no_news():
    assert ALARM.state(samples(*[40.0] * 8), now=NOW + 300) == "unknown"


def test_an_alarm_without_sustain_fires_at_once():
    at_once = Alarm(
        name="a",
        sample="oldest_age_s",
        label="normal",
        threshold=30.0,
        sustain_s=0,
        kind="page",
        action="Look.",
        reason="Of the test.",
    )

    assert at_once.state(samples(40.0), now=NOW) == "firing"


@pytest.mark.parametrize("changes", [{"threshold": -1.0}, {"sustain_s": -1}])
def test_a_negative_number_is_refused(changes):
    said = {
        name: getattr(ALARM, name)
        for name in Alarm.__dataclass_fields__  # slots: no __dict__
    }

    with pytest.raises(PolicyError, match="normal_waits"):
        Alarm(**{**said, **changes})


def test_every_alarm_of_the_policy_watches_a_queue_or_task_that_exists():
    known = {*POLICY.queues, *POLICY.tasks}

    assert {alarm.label for alarm in POLICY.alarms.values()} <= known
    assert "alarms" in TABLES
