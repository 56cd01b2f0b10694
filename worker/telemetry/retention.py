"""Old rows leave, some at a time, so that the database stays below its limit."""

from psycopg import sql

from worker.clients.postgres import Connection
from worker.policy.recording import Recording

_FORGET = sql.SQL(
    "delete from ops.{table} where ctid = any(array("
    "select ctid from ops.{table} "
    "where {at} < now() - make_interval(days => %s) limit %s))"
)


def forget(db: Connection, recording: Recording) -> int:
    """Delete at most ``forget_batch`` rows a table that are too old; how many."""
    tables = (
        ("task_records", "enqueued_at", recording.records_kept_days),
        ("samples", "at", recording.samples_kept_days),
        ("dead_letters", "parked_at", recording.dead_letters_kept_days),
    )
    forgotten = 0
    for table, at, days in tables:
        statement = _FORGET.format(table=sql.Identifier(table), at=sql.Identifier(at))
        forgotten += db.execute(statement, (days, recording.forget_batch)).rowcount
        db.commit()
    return forgotten
