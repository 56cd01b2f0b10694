"""The errors of the worker, named by what to do next, not by what broke.

A client names an error, the task shell answers it; nothing in between catches it.
The message of every error is one sentence that a person can act on.
"""

import sys
from collections.abc import Callable
from typing import NoReturn


class WorkerError(Exception):
    """Root of every error that this package raises on purpose."""


class TransientError(WorkerError):
    """It may work next time: the next tick, or a bounded retry, is the answer."""


class RateLimitedError(WorkerError):
    """The other side asked for a pause of ``retry_after_s`` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PermanentError(WorkerError):
    """Trying again cannot help: the attempt is parked as a dead letter."""


class PolicyError(WorkerError):
    """A number in the policy breaks a rule, or a ``--set`` path does not exist."""


class UsageError(WorkerError):
    """A command was used wrongly; the doors turn it into one line and exit code 2."""


def answer_at_the_door(door: Callable[[], object]) -> NoReturn:
    """Run a command line and leave with its exit code.

    An error of ours becomes one sentence on stderr and exit code 2; Ctrl-C leaves
    with 130. Every room's ``__main__`` goes through here, so all doors answer alike.
    """
    try:
        code = door()
    except TransientError as error:
        sys.stderr.write(f"{error}; `python -m worker check` says what to mend\n")
        sys.exit(2)
    except WorkerError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of a table has left, as `| head` does
        sys.stderr.close()
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
