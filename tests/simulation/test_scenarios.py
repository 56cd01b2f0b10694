"""The named scenarios happen as their questions say."""

import pytest

from simulation.scenarios import SCENARIOS, scenario


@pytest.mark.parametrize("name", list(SCENARIOS))
@pytest.mark.parametrize("users", [100, 10_000])
def test_a_row_carries_its_name_and_ends_in_time(name: str, users: int) -> None:
    made = scenario(name, users=users, duration_s=120.0)

    assert made.name == name
    assert made.question
    assert max(event.at_s for event in made.events()) < made.duration_s


def test_a_network_event_concerns_every_line_and_is_worse_than_what_was_told() -> None:
    made = scenario("network", users=1_000, duration_s=120.0)
    first, everywhere = made.events()

    assert everywhere.line == -1
    assert first.line >= 0
    assert first.at_s < everywhere.at_s
    assert everywhere.value > first.value


@pytest.mark.parametrize("name", ["brownout", "outage"])
def test_lines_are_delayed_while_nsw_fails(name: str) -> None:
    made = scenario(name, users=1_000, duration_s=180.0)
    down = next(event for event in made.events() if event.kind == "nsw_down")

    assert any(
        event.kind == "delay" and down.at_s <= event.at_s < down.at_s + down.duration_s
        for event in made.events()
    )
