"""The breaker before Transport for NSW: closed, open for a while, half open."""

from worker.policy.feeds import RealtimeLimits


class Breaker:
    """One breaker for all feeds, as an outage of their server opens them together.

    After failures in a row nobody asks for a while, longer each time; then one poll
    tries, and its outcome decides. The rule is that of ``worker/reliability``.
    """

    def __init__(self, limits: RealtimeLimits) -> None:
        self._limits = limits
        self._failures = 0
        self._opened = 0
        self._until = 0.0

    def admits(self, now: float) -> bool:
        """Whether a poll may ask now."""
        return now >= self._until

    def succeeded(self) -> None:
        """Close it."""
        self._failures, self._opened, self._until = 0, 0, 0.0

    def failed(self, now: float) -> None:
        """Count a failure, and open it when there were too many."""
        limits = self._limits
        self._failures += 1
        if self._opened or self._failures >= limits.breaker_failures:
            pause_s = limits.breaker_open_s * 2**self._opened
            self._until = now + min(pause_s, limits.breaker_open_max_s)
            self._opened += 1
