"""A tick's slot is the same for whoever asks, whenever in the slot he asks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import PolicyError
from worker.policy import Daily, Every

SYDNEY = ZoneInfo("Australia/Sydney")
MOMENTS = st.floats(min_value=1.7e9, max_value=2.1e9)


@given(now_s=MOMENTS, period_s=st.integers(min_value=1, max_value=3600))
def test_a_slot_holds_the_moment_it_is_due_for(now_s: float, period_s: int) -> None:
    tick = Every(period_s=period_s)

    assert tick.slot_at(now_s) <= now_s < tick.next_after(now_s)
    assert tick.slot_at(tick.next_after(now_s)) == tick.next_after(now_s)
    assert tick.slot_at(now_s) % period_s == 0


@given(now_s=MOMENTS)
def test_a_daily_slot_is_once_each_sydney_day(now_s: float) -> None:
    tick = Daily(hour=5, minute=15)

    slot, following = tick.slot_at(now_s), tick.next_after(now_s)

    assert slot <= now_s < following
    days = [datetime.fromtimestamp(at, SYDNEY) for at in (slot, following)]
    assert [(day.hour, day.minute) for day in days] == [(5, 15), (5, 15)]
    assert days[1].date() - days[0].date() == timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-10-03", 23), ("2027-04-03", 25), ("2026-11-23", 24)],
    ids=["clocks go forward", "clocks go back", "an ordinary day"],
)
def test_a_day_of_changing_clocks_is_shorter_or_longer(day: str, hours: int) -> None:
    tick = Daily(hour=5, minute=15)
    slot = datetime.fromisoformat(f"{day}T05:15").replace(tzinfo=SYDNEY).timestamp()

    assert tick.next_after(slot) - slot == hours * 3600


@pytest.mark.parametrize(("hour", "minute"), [(2, 30), (24, 0), (5, 60), (-1, 0)])
def test_a_time_that_a_day_may_miss_is_refused(hour: int, minute: int) -> None:
    with pytest.raises(PolicyError, match="every Sydney day has once"):
        Daily(hour=hour, minute=minute)


def test_slots_are_aligned_to_the_epoch_not_to_a_process() -> None:
    at = datetime(2026, 11, 23, 8, 0, 14, tzinfo=UTC).timestamp()

    assert Every(period_s=15).slot_at(at) == at - 14
