"""The grammar of ``--check`` and its verdicts."""

import pytest

from loadtests.checks import parse_check, verdict
from worker.errors import UsageError
from worker.measures import Recorded
from worker.records import Delivery

RUN = Recorded(
    deliveries=[
        Delivery(
            notification_id=str(seconds),
            published_at=100.0,
            matched_at=101.0,
            sent_at=102.0,
            arrived_at=100.0 + seconds,
            outcome="sent",
        )
        for seconds in (10.0, 12.0)
    ],
    started_at=100.0,
    finished_at=200.0,
)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("p50_push_s<=20", ["check passed"]),
        ("p50_push_s == 11", ["check passed"]),
        ("lost==0", ["check passed"]),
        ("p50_push_s<=10.5", ["check failed: p50_push_s is 11, wanted <= 10.5"]),
        ("p50_push_s>=12", ["check failed: p50_push_s is 11, wanted >= 12"]),
        ("lost==1", ["check failed: lost is 0, wanted == 1"]),
    ],
)
def test_a_check_says_what_is_and_what_was_wanted(text: str, lines: list[str]) -> None:
    passed, said = verdict([parse_check(text)], RUN)

    assert said == lines
    assert passed == (lines == ["check passed"])


def test_what_was_not_measured_never_passes() -> None:
    passed, said = verdict([parse_check("queue_wait_p95_s<=1000")], RUN)

    assert not passed
    assert said == ["check failed: queue_wait_p95_s is nan, wanted <= 1000"]


def test_every_failure_has_a_line() -> None:
    checks = [
        parse_check("lost==1"),
        parse_check("p50_push_s<=20"),
        parse_check("p50_push_s<=1"),
    ]

    passed, said = verdict(checks, RUN)

    assert not passed
    assert len(said) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p95_push_s<20", "is not MEASURE<=NUMBER"),
        ("p95_push_s", "is not MEASURE<=NUMBER"),
        ("p95_pushes<=20", "there is no measure p95_pushes"),
        ("p95_push_s<=fast", "fast is not a number"),
        ("p95_push_s<=nan", "nan decides nothing"),
        ("p95_push_s<=inf", "inf decides nothing"),
        ("lost>=-inf", "-inf decides nothing"),
        ("lost<=1e999", "1e999 decides nothing"),
    ],
)
def test_a_check_of_another_form_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_check(text)
