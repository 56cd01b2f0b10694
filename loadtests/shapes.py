"""The load shape that a scenario asks for, in locust's words."""

import time

from locust import LoadTestShape
from locust.user import User

from loadtests.stages import stage
from loadtests.users import Commuter


class ScenarioShape(LoadTestShape):
    """As many users at each second as the run's scenario says, then the end."""

    use_common_options = True

    def tick(self) -> tuple[int, float, list[type[User]] | None] | None:
        """The stage of this second; None ends the run."""
        run = Commuter.field.assignment
        now = stage(run.scenario, time.time() - run.starts_at)
        return None if now is None else (now.users, now.spawn_rate, [Commuter])
