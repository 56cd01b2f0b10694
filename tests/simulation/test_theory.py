from dataclasses import replace

import pytest

from simulation import theory, verification
from simulation.systems import SYSTEMS, draw
from simulation.verification import ENGINES, verify
from worker.errors import UsageError


def test_erlang_c_meets_the_textbook():
    # M/M/4 at rho 0.8: the wait that queueing tables print.
    assert theory.mmc_wait_s(3.2, 1.0, 4) == pytest.approx(0.7455, abs=5e-5)


def test_one_server_is_the_same_by_every_formula():
    assert theory.mmc_wait_s(0.7, 1.0, 1) == pytest.approx(
        theory.mg1_wait_s(0.7, 1.0, 2.0)
    )
    assert theory.priority_waits_s([0.7], [1.0], [2.0]) == pytest.approx(
        [theory.mg1_wait_s(0.7, 1.0, 2.0)]
    )
    assert theory.batch_wait_s(0.7, 1, 1.0, 2.0) == pytest.approx(
        theory.mg1_wait_s(0.7, 1.0, 2.0)
    )


def test_an_unstable_system_says_by_how_much():
    with pytest.raises(UsageError, match=r"rho = 1.250 >= 1, work for 1.00 more"):
        theory.mmc_wait_s(5.0, 1.0, 4)


def test_both_engines_agree_with_theory():
    checks = verify(messages=1_500, most=10)

    outside = [check for check in checks if check.verdict == "outside"]
    assert not outside
    named = {f"{system.name} ({engine})" for system in SYSTEMS for engine in ENGINES}
    assert named <= {check.run for check in checks}


def test_a_check_says_its_verdict_under_the_names_of_the_contract():
    check = verification._check(SYSTEMS[0], "kernel", 300, 10, seed=1)

    row = check.as_json()
    assert {"metric", "run", "theory", "predicted", "interval", "relative_error",
            "threshold", "verdict"} <= set(row)  # fmt: skip
    # So few messages decide nothing, and it says how many would.
    assert row["verdict"] == "inconclusive"
    assert "replications" in row["reason"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_formula_is_found_out(engine):
    """The check can fail: the same system, held against a third more load."""
    wrong = replace(SYSTEMS[0], expected=theory.mmc_wait_s(0.8, 1.0, 1))

    assert verification._check(wrong, engine, 4_000, 40, seed=1).verdict == "outside"


def test_a_wrong_discipline_is_found_out():
    """The check can fail: priorities served in turn are not priorities."""
    urgent = next(s for s in SYSTEMS if s.name.endswith("urgent"))
    waits = [
        urgent.figure(
            ENGINES["kernel"](*draw(replace(urgent, order=order), 9_000, 1))[0]
        )
        for order in ("priority", "round_robin")
    ]

    assert waits[0] == pytest.approx(urgent.expected, rel=0.25)
    assert waits[1] > 1.4 * urgent.expected
