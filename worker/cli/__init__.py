"""The worker's command line: run it, take one step of it, see it, mend it."""

from worker.cli import run, see, steps
from worker.cli.door import door

__all__ = ["door", "main", "run", "see", "steps"]


def main() -> object:
    """Read the command line, run what it says, give back the exit code."""
    return door(prog_name="python -m worker")
