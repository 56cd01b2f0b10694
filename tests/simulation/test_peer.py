"""An independent peer: Ciw simulates the same systems from its own code."""

import ciw
import numpy as np
import pytest

from simulation.systems import SYSTEMS, draw
from simulation.verification import ENGINES

MESSAGES, REPLICATIONS = 2_500, 6


def ciw_waits(children: int, rate: float, seed: int) -> float:
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate)],
        service_distributions=[ciw.dists.Exponential(1.0)],
        number_of_servers=[children],
    )
    ciw.seed(seed)
    model = ciw.Simulation(network)
    end = MESSAGES / rate
    model.simulate_until_max_time(end)
    records = [r for r in model.get_all_records() if r.arrival_date > 0.2 * end]
    return float(np.mean([record.waiting_time for record in records]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("place", [0, 1], ids=["M/M/1", "M/M/4"])
def test_engines_and_ciw_agree_within_what_replications_differ_by(place, engine):
    system = SYSTEMS[place]
    (arrivals,) = system.arrivals
    ours = [
        system.figure(seen.since(0.2 * seen.end_at))
        for seen, _ in (
            ENGINES[engine](*draw(system, MESSAGES, k)) for k in range(REPLICATIONS)
        )
    ]

    theirs = [
        ciw_waits(system.children, arrivals.per_s, k) for k in range(REPLICATIONS)
    ]

    spread = np.hypot(np.std(ours, ddof=1), np.std(theirs, ddof=1))
    gap = abs(np.mean(ours) - np.mean(theirs))
    assert gap < 3.7 * spread / REPLICATIONS**0.5
    # And the check can fail: a tenth more load is further away than that.
    assert spread / REPLICATIONS**0.5 < system.expected
