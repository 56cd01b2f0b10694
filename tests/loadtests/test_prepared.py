"""What a publisher hands over is real: rows that are due when it does, not before."""

import time
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from loadtests.assignment import assign
from loadtests.deliveries import SHARED, Matches, read_outbox
from loadtests.prepared import prepare
from loadtests.publisher import groups_of
from loadtests.riders import settle_in, settle_in_from_outside
from loadtests.rig.folder import free_port
from simulation.scenario import Scenario
from worker.clients import postgres
from worker.errors import UsageError
from worker.notifications import outbox, sweep
from worker.policy import POLICY

SCENARIO = Scenario(
    name="steady",
    question="?",
    users=6,
    duration_s=100.0,
    lines=2,
    onset_every_s=20.0,
    groups_per_s=(0.5,),
    group_least=3,
    group_most=8,
)


def test_a_database_that_is_no_stand_in_world_is_told_in_a_sentence(
    empty_database: Any,
) -> None:
    run = assign(SCENARIO, ["a", "b"], starts_at=time.time() + 30)

    with pytest.raises(UsageError, match=r"does not take the riders: .*loadtests rig"):
        settle_in_from_outside(empty_database.admin_url, run, i_own_this_host=False)


def test_when_pushes_were_matched_is_asked_once_for_those_of_a_match(
    database: Any,
) -> None:
    run = assign(SCENARIO, ["a", "b"], starts_at=time.time() + 30)
    settle_in(database.admin_url, run)
    prepare(database.admin_url, run)
    first, *_, last = read_outbox(database.admin_url, 0.0)
    complaints: list[Exception] = []
    matches = Matches(database.admin_url, complaints.append)
    of_the_same = first.apns_id[:SHARED] + "f" * 12

    assert first.matched_at != last.matched_at
    assert matches.at(first.apns_id.upper()) == first.matched_at
    assert matches.at(of_the_same) == first.matched_at
    assert matches.at(last.apns_id) == last.matched_at
    assert complaints == []


def test_an_outbox_that_does_not_answer_is_complained_of_and_nothing_known() -> None:
    complaints: list[Exception] = []
    url = f"postgresql://u@127.0.0.1:{free_port()}/none"

    assert Matches(url, complaints.append).at("ab") is None
    assert len(complaints) == 1
    assert Matches("", complaints.append).at("ab") is None
    assert len(complaints) == 1


def test_an_outbox_that_failed_once_is_asked_again_by_the_next_push(
    empty_database: Any,
) -> None:
    complaints: list[Exception] = []
    matches = Matches(empty_database.admin_url, complaints.append)
    match = "a" * SHARED

    assert matches.at(f"{match}1") is None
    with psycopg.connect(empty_database.admin_url) as db:
        db.execute("create schema app")
        db.execute(
            "create table app.notifications (apns_id text, matched_at timestamptz)"
        )
        db.execute(
            "insert into app.notifications values (%s, to_timestamp(1000))",
            (f"{match}2",),
        )

    assert matches.at(f"{match}2") == 1000.0
    assert matches.at(f"{match}3") == 1000.0  # of the same match: not asked again
    assert len(complaints) == 1


def test_each_groups_rows_are_due_at_its_instant_and_left_alone_before(
    database: Any,
) -> None:
    run = assign(SCENARIO, ["a", "b"], starts_at=time.time() + 30)
    settle_in(database.admin_url, run)
    run = replace(run, notifications=prepare(database.admin_url, run))
    groups = list(groups_of(run))
    middle, _ = groups[len(groups) // 2]
    so_far = [id_ for at, ids in groups if at <= middle for id_ in ids]

    with postgres.connect(database.url, "sender", policy=POLICY) as db:
        early = outbox.due(db, now=run.starts_at, limit=10_000)
        due = outbox.due(db, now=middle + 0.001, limit=10_000)
    with postgres.connect(database.url, "upkeep", policy=POLICY) as db:
        # A message is published when a row becomes due: the sweep gives it its time.
        hinted = sweep.forgotten_by_messages(db, POLICY.push, now=middle)

    assert len(groups) > 20
    assert early == []
    assert sorted(due) == so_far
    assert set(hinted) < set(so_far)
    assert not set(groups[len(groups) // 2][1]) & set(hinted)


def test_the_publishers_phones_are_nobodys_who_waits_for_a_line(database: Any) -> None:
    run = assign(SCENARIO, ["a", "b"], starts_at=time.time())
    settle_in(database.admin_url, run)

    ids = prepare(database.admin_url, run)

    with psycopg.connect(database.admin_url) as db:
        shared = db.execute(
            "select count(*) from app.notifications n join app.favorites f "
            "using (user_id)"
        ).fetchone()
    assert len(ids) == sum(size for _, size in SCENARIO.groups())
    assert shared == (0,)


def test_a_run_without_groups_prepares_nothing(database: Any) -> None:
    run = assign(replace(SCENARIO, groups_per_s=()), ["a", "b"], starts_at=0.0)

    assert prepare(database.admin_url, run) == ()
