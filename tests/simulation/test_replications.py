import numpy as np
import pytest

from simulation.replications import until_precise
from worker.errors import UsageError


def test_replications_stop_once_precise_and_not_by_luck():
    rng = np.random.default_rng(4)
    draws = rng.normal(10.0, 2.0, 5_000)

    found = until_precise(lambda k: draws[k], relative=0.02)

    assert found.precise
    assert found.half_width <= 0.02 * found.mean
    assert abs(found.mean - 10.0) < 2 * found.half_width
    assert 200 < found.replications < 700


def test_what_never_becomes_precise_says_so():
    draws = np.random.default_rng(4).standard_cauchy(50)

    found = until_precise(lambda k: draws[k], relative=0.01, most=50)

    assert (found.precise, found.replications) == (False, 50)


@pytest.mark.parametrize("asked", [{"relative": 0.0}, {"fewest": 1}])
def test_a_precision_that_cannot_be_had_is_refused(asked):
    with pytest.raises(UsageError, match="an interval needs 2 replications"):
        until_precise(lambda k: 1.0, **asked)
