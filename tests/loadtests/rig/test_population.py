"""Riders are known by their numbers, and spread over lines as asked."""

from collections import Counter
from typing import Any

import psycopg
import pytest

from loadtests.rig.population import line_of, populate, token_of, user_of

LINES = ["2441_343", "2440_B1", "T1_0a", "SMNW_M1"]


@pytest.mark.parametrize("skew", [0.0, 0.75], ids=["even", "zipf"])
def test_every_rider_has_the_device_and_line_of_his_number(
    database: Any, skew: float
) -> None:
    with psycopg.connect(database.admin_url) as db:
        populate(db, users=200, lines=LINES, seed=5, skew=skew)
        found = db.execute(
            "select d.user_id, d.token, f.route_id from app.devices d"
            " join app.favorites f using (user_id) join auth.users u on u.id = user_id"
        ).fetchall()

    assert set(found) == {
        (user_of(5, user), token_of(5, user), LINES[line_of(5, user, 4, skew)])
        for user in range(200)
    }


def test_riders_take_turns_without_skew_and_crowd_the_first_line_with_it() -> None:
    even = Counter(line_of(1, user, 4) for user in range(1000))
    crowded = Counter(line_of(1, user, 4, 1.0) for user in range(1000))

    assert set(even.values()) == {250}
    assert [line for line, _ in crowded.most_common()] == [0, 1, 2, 3]
    assert crowded[0] == pytest.approx(480, abs=60)


def test_another_seed_is_another_city_of_riders() -> None:
    assert token_of(1, 7) != token_of(2, 7)
    assert user_of(1, 7) != user_of(2, 7)
    assert len(token_of(1, 7)) == 64
