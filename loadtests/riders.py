"""The riders of a run: put into the database, those of an earlier run taken out."""

import psycopg

from loadtests.assignment import Assignment
from loadtests.rig.population import populate
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


def settle_in_from_outside(admin_url: str, run: Assignment) -> None:
    """The same for a run that plain locust starts; UsageError without an address."""
    if not admin_url:
        raise UsageError(
            "RIG_ADMIN_DATABASE_URL is not set; start the stand-in world and take its "
            "environment: python -m loadtests rig"
        )
    try:
        settle_in(admin_url, run)
    except psycopg.OperationalError as error:
        raise UsageError(f"PostgreSQL does not answer: {error}") from None
