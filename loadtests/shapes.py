"""The load shape that a scenario asks for, in locust's words."""

import sys
import time

from locust import LoadTestShape
from locust.user import User

from loadtests.stages import stage
from loadtests.users import Commuter, Publisher, Reader, RunUser, begin, followers
from worker.errors import WorkerError

NOT_BEGUN = "The test did not begin"
CUT = "The test was cut short"


class ScenarioShape(LoadTestShape):
    """As many users at each second as the run's scenario says, then the end.

    A run that cannot begin ends at its first tick, with one sentence and exit code 2;
    locust's page shows the sentence among its exceptions. So does one that loses a
    process that follows, or gets another, with exit code 1: each has its own riders,
    and locust would deal them out again.
    """

    use_common_options = True
    begun = False
    _followers: frozenset[str] = frozenset()

    def end(self) -> None:
        """The test is over; the next first tick begins another.

        Not ``reset_time``: a master calls it again when its first tick is answered.
        """
        if self.begun and self._changed():
            now = len(followers(self.runner))
            self._say(
                1,
                CUT,
                f"{len(self._followers)} processes followed when the test began, {now} "
                "do now: its counts are of no use; start it again when all that are to "
                "follow do (--expect-workers), and let them run",
            )
        self.begun = False

    def _changed(self) -> bool:
        return followers(self.runner) != self._followers

    def tick(self) -> tuple[int, float, list[type[User]] | None] | None:
        """The stage of this second; None ends the run. The first one begins it."""
        if not self.begun and not self._begin():
            return None
        if self._changed():
            RunUser.field.end()  # where nothing has begun, locust ends nothing
            self.end()
            return None
        run = RunUser.field.assignment
        now = stage(run.scenario, time.time() - run.starts_at)
        if now is None:
            return None
        classes: list[type[User]] = [Commuter]
        if now.publishers:
            classes.append(Publisher)
        if now.readers:
            Reader.fixed_count = now.readers
            classes.append(Reader)
        return now.total, now.spawn_rate, classes

    def _begin(self) -> bool:
        if self.runner is None:
            return False
        try:
            self.runner.environment.process_exit_code = None
            self._followers = begin(self.runner.environment)
            self.begun = True
        except WorkerError as error:
            self._say(2, NOT_BEGUN, str(error))
        return self.begun

    def _say(self, exit_code: int, what: str, why: str) -> None:
        assert self.runner is not None
        sys.stderr.write(f"{why}\n")
        self.runner.environment.process_exit_code = exit_code
        # Not by the event user_error: a master does not listen to its own.
        self.runner.log_exception("local", why, f"{what}: {why}")
