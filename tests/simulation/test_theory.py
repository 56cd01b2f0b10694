import pytest

from simulation import theory
from simulation.verification import SYSTEMS, verify, world_of
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


def test_the_engine_agrees_with_theory():
    checks = verify(messages=1_500, most=10)

    outside = [check for check in checks if check.verdict == "outside"]
    assert not outside
    assert {check.run for check in checks} == {system.name for system in SYSTEMS}


def test_a_wrong_discipline_is_found_out():
    """The check can fail: priorities served in turn are not priorities."""
    patient = next(s for s in SYSTEMS if s.name.endswith("patient"))
    urgent = next(s for s in SYSTEMS if s.name.endswith("urgent"))
    waits = []
    for order in ("priority", "round_robin"):
        world = world_of(
            type(patient)(
                **{
                    name: getattr(patient, name)
                    for name in patient.__dataclass_fields__
                    if name != "order"
                },
                order=order,
            ),
            messages=6_000,
            replication=1,
        )
        records = [r for r in world.journal.lines if r.task == "urgent"]
        waits.append(sum(r.started_at - r.enqueued_at for r in records) / len(records))

    assert waits[0] == pytest.approx(urgent.expected, rel=0.25)
    assert waits[1] > 1.4 * urgent.expected
