"""Queueing theory in closed form: what the engines must reproduce.

Rates per second, times in seconds; ``load`` is offered load in erlangs. Every formula
raises UsageError for a system that never settles.
"""

from collections.abc import Sequence
from math import exp, factorial

from worker.errors import UsageError


def stable(arrivals_per_s: float, service_s: float, children: int = 1) -> float:
    """Utilization rho; raises UsageError, by how much, when it is 1 or more."""
    rho = arrivals_per_s * service_s / children
    if rho >= 1:
        short = arrivals_per_s * service_s - children
        raise UsageError(
            f"the system is unstable: rho = {rho:.3f} >= 1, work for {short:.2f} more "
            f"children arrives than {children} can do"
        )
    return rho


def erlang_c(children: int, load: float) -> float:
    """Probability that a message must wait, M/M/c."""
    rho = stable(load, 1.0, children)
    last = load**children / factorial(children) / (1 - rho)
    return last / (sum(load**k / factorial(k) for k in range(children)) + last)


def mmc_wait_s(arrivals_per_s: float, service_s: float, children: int) -> float:
    """Mean wait in M/M/c."""
    rho = stable(arrivals_per_s, service_s, children)
    busy = erlang_c(children, arrivals_per_s * service_s)
    return busy * service_s / (children * (1 - rho))


def mmc_wait_beyond(
    arrivals_per_s: float, service_s: float, children: int, wait_s: float
) -> float:
    """Share of messages that wait longer than ``wait_s`` in M/M/c."""
    rho = stable(arrivals_per_s, service_s, children)
    busy = erlang_c(children, arrivals_per_s * service_s)
    return busy * exp(-children * (1 - rho) * wait_s / service_s)


def mg1_wait_s(arrivals_per_s: float, service_s: float, second_moment: float) -> float:
    """Mean wait in M/G/1 (Pollaczek and Khinchine); M/D/1 has second moment E[S]^2."""
    rho = stable(arrivals_per_s, service_s)
    return arrivals_per_s * second_moment / (2 * (1 - rho))


def priority_waits_s(
    arrivals_per_s: Sequence[float],
    service_s: Sequence[float],
    second_moments: Sequence[float],
) -> list[float]:
    """Mean wait of each class in M/G/1 with non-preemptive priorities, first class
    most urgent (Cobham).
    """
    classes = list(zip(arrivals_per_s, service_s, second_moments, strict=True))
    residual = sum(rate * second for rate, _, second in classes) / 2
    stable(sum(rate * mean for rate, mean, _ in classes), 1.0)
    waits, above = [], 0.0
    for rate, mean, _ in classes:
        through = above + rate * mean
        waits.append(residual / ((1 - above) * (1 - through)))
        above = through
    return waits


def ps_sojourn_s(arrivals_per_s: float, service_s: float) -> float:
    """Mean sojourn in M/G/1 with processor sharing: only the mean service matters."""
    return service_s / (1 - stable(arrivals_per_s, service_s))


def batch_wait_s(
    batches_per_s: float, batch: int, service_s: float, second_moment: float
) -> float:
    """Mean wait in M^[X]/G/1 where every arrival brings ``batch`` messages."""
    rho = stable(batches_per_s * batch, service_s)
    alone = batches_per_s * batch * second_moment / (2 * (1 - rho))
    return alone + service_s * (batch - 1) / (2 * (1 - rho))
