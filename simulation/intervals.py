"""Errors and intervals of figures, of which some are infinite and some are none."""

import numpy as np

from simulation.tables import Floats


def relative(predicted: float, measured: float, *, least: float = 0.0) -> float:
    """Predicted less measured, as a share of what was measured or of ``least``."""
    if measured == predicted:
        return 0.0
    if np.isinf(measured):
        return -1.0
    whole = max(abs(measured), least)
    return (predicted - measured) / whole if whole else np.inf


def likely(each: Floats) -> tuple[float, float, float]:
    """Low end, middle and high end of what replications show.

    One more run, were it a replication, would lie between the k-th from below and the
    k-th from above of n with 1 - 2k/(n+1), whatever their distribution: k is what that
    is 95 % with. A replication without the figure (no push in it) does not count; where
    most lack it, it has none.
    """
    shown = _most(each)
    if not len(shown):
        return np.nan, np.nan, np.nan
    ranked, k = np.sort(shown), max(1, int((len(shown) + 1) * 0.025))
    # The middle one of them, not between: a quantile may lie beyond every push.
    return float(ranked[k - 1]), float(ranked[len(ranked) // 2]), float(ranked[-k])


def interval(draws: Floats) -> tuple[float, float]:
    """The middle 95 % of resamples that show the figure, none where most do not."""
    shown = _most(draws)
    if not len(shown):
        return np.nan, np.nan
    # Nearest, not between: some draws may be infinite.
    low, high = np.quantile(shown, (0.025, 0.975), method="nearest")
    return float(low), float(high)


def _most(values: Floats) -> Floats:
    """Those that are defined; none of them where they are the minority."""
    shown: Floats = values[~np.isnan(values)]
    return shown if 2 * len(shown) > len(values) else shown[:0]
