"""Load is put on this machine alone, unless its user says that the host is his."""

import pytest

from loadtests.assignment import assign
from loadtests.control import Control
from loadtests.riders import settle_in_from_outside
from loadtests.targets import refuse_foreign
from simulation.scenario import Scenario
from worker.errors import UsageError

RUN = assign(
    Scenario(
        name="disruption",
        question="?",
        users=1,
        duration_s=90.0,
        lines=1,
        onset_every_s=30.0,
    ),
    ["a"],
    starts_at=0.0,
)


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache.example.com:6379/0",
        "postgresql://u:secret@10.0.0.5/db",
        "http://127.0.0.1.example.com:80",
        "http://[2001:db8::1]:80",
        "postgresql:///db",
    ],
)
def test_another_machine_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match="loopback only") as refused:
        refuse_foreign("DATABASE_URL", url, i_own_this_host=False)

    assert "secret" not in str(refused.value)
    refuse_foreign("DATABASE_URL", url, i_own_this_host=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_is_not(host: str) -> None:
    refuse_foreign("REDIS_URL", f"redis://{host}:6379", i_own_this_host=False)


def test_a_switchboard_elsewhere_is_refused_before_it_is_spoken_to() -> None:
    with pytest.raises(UsageError, match="i-own-this-host"):
        Control("http://rig.example.com:80")


def test_riders_of_another_database_are_not_thrown_out() -> None:
    with pytest.raises(UsageError, match="i-own-this-host"):
        settle_in_from_outside(
            "postgresql://u@db.example.com/app", RUN, i_own_this_host=False
        )
