"""The generated tables: every row of the policy is in them."""

from dataclasses import replace

import pytest

from worker.errors import UsageError
from worker.operate import diagram, tables
from worker.operate.show import Table
from worker.policy import POLICY, vary
from worker.policy.objectives import PROMISED_POLL_S


@pytest.mark.parametrize("name", tables.TABLES)
def test_every_table_has_rows_as_wide_as_its_columns(name):
    made = tables.table(name, POLICY)

    assert made.rows
    assert {len(row) for row in made.rows} == {len(made.columns)}


def test_the_task_table_follows_the_policy():
    varied = vary(POLICY, "tasks.alert_matcher.time_limit_s", 61)

    assert "61 s" in tables.table("tasks", varied).markdown()


def test_every_tier_of_feeds_states_its_own_promise():
    core = tables.table("promises", POLICY).rows
    slower = vary(POLICY, "feeds.buses_trips.intervals.night_s", 90)

    told = {(row[1], row[2], *row[4:]) for row in core}
    assert ("peak", "15 s", "at once", "<= 20 s", "<= 25 s") in told
    assert ("peak", "1 min", "2 min", "<= 185 s", "<= 190 s") in told
    assert ("night", "90 s", "at once", "<= 95 s", "<= 100 s") in {
        (row[1], row[2], *row[4:]) for row in tables.table("promises", slower).rows
    }
    named = ", ".join(row[0] for row in core)
    for feed in POLICY.feeds.values():
        assert (feed.name in named) is (feed.kind != "vehicle_positions")
    assert min(f.intervals.peak_s for f in POLICY.feeds.values()) == PROMISED_POLL_S


def test_an_unknown_table_is_answered_with_the_known_ones():
    mine = Table(columns=("a",))

    with pytest.raises(UsageError, match=r"no table 'x'; there are tasks, .*, mine"):
        tables.table("x", POLICY, mine=mine)
    assert tables.table("mine", POLICY, mine=mine) is mine


def test_the_diagram_names_every_queue_task_and_pool():
    drawn = diagram.queues(POLICY)

    for name in (*POLICY.queues, *POLICY.tasks, *POLICY.pools):
        assert name in drawn
    assert len({len(line) for line in drawn.splitlines() if line[0] in "+|"}) == 1


def test_the_diagram_has_room_for_many_tasks():
    many = {
        f"a_task_with_a_long_name_{n}": replace(
            POLICY.tasks["alert_matcher"], name=f"a_task_with_a_long_name_{n}"
        )
        for n in range(9)
    }

    drawn = diagram.queues(replace(POLICY, tasks={**POLICY.tasks, **many}))

    assert all(name in drawn for name in many)
    assert max(map(len, drawn.splitlines())) <= 72


def test_a_pipe_in_a_cell_does_not_break_the_table():
    table = Table(columns=("a", "b"), rows=[("x|y", None), (True, 1234.5)])

    assert table.markdown().splitlines()[2:] == [r"| x\|y | - |", "| yes | 1,234 |"]
