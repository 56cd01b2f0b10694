"""The fast twin: the engine's rules compiled by numba, on the same tables.

The engine is right by definition; a differential test holds both equal, attempt by
attempt. What only the engine knows is refused by name.
"""

from simulation.kernel.arrivals import pushes
from simulation.kernel.twin import (
    OUTCOMES,
    SUCCEEDED,
    Attempts,
    refusals,
    run,
)

__all__ = ["OUTCOMES", "SUCCEEDED", "Attempts", "pushes", "refusals", "run"]
