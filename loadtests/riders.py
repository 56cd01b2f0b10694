"""The riders of a run: put into the database, those of an earlier run taken out."""

from dataclasses import replace

import psycopg

from loadtests.assignment import Assignment
from loadtests.prepared import prepare
from loadtests.rig.population import populate
from loadtests.targets import ADMIN_URL, refuse_foreign
from worker.errors import UsageError

_EARLIER = "truncate app.notifications, app.favorites, app.devices"


def settle_in(admin_url: str, run: Assignment) -> None:
    """Leave exactly the run's riders in the database, each with a favorite."""
    with psycopg.connect(admin_url) as db:
        db.execute(_EARLIER)
        populate(
            db,
            users=run.scenario.users,
            lines=list(run.routes[: run.scenario.lines]),
            seed=run.scenario.seed,
        )
        db.commit()
        db.autocommit = True
        db.execute("analyze app.devices")
        db.execute("analyze app.favorites")


def settle_in_from_outside(
    admin_url: str, run: Assignment, *, i_own_this_host: bool
) -> Assignment:
    """The same for a run that plain locust starts, its groups prepared too.

    Raises UsageError without an address, or for one of another machine.
    """
    if not admin_url:
        raise UsageError(
            f"{ADMIN_URL} is not set; start the stand-in world and take its "
            "environment: python -m loadtests rig"
        )
    refuse_foreign(ADMIN_URL, admin_url, i_own_this_host=i_own_this_host)
    try:
        settle_in(admin_url, run)
        return replace(run, notifications=prepare(admin_url, run))
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"PostgreSQL does not take the riders: {said}; start the stand-in world "
            "and take its environment: python -m loadtests rig"
        ) from None
