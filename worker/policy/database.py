"""Connections to PostgreSQL: one role per duty, each with its patience."""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.errors import PolicyError


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """What ``worker_<name>`` may wait for: one statement, one lock, one open
    transaction between two statements.
    """

    name: str
    statement_timeout_s: int
    lock_timeout_s: int
    idle_in_transaction_s: int
    reason: str

    def __post_init__(self) -> None:
        if not 0 < self.lock_timeout_s <= self.statement_timeout_s:
            raise PolicyError(
                f"database.roles.{self.name}: lock_timeout_s {self.lock_timeout_s} "
                f"must lie between 0 and statement_timeout_s {self.statement_timeout_s}"
            )

    @property
    def group(self) -> str:
        """The PostgreSQL role that the connection takes on."""
        return f"worker_{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """Numbers of every connection, and the roles by name.

    Above ``size_limit_mib`` the
    check fails.
    """

    connect_timeout_s: int
    keepalives_idle_s: int
    keepalives_interval_s: int
    keepalives_count: int
    size_limit_mib: int
    roles: Mapping[str, Role]
    reason: str

    @property
    def dead_peer_s(self) -> int:
        """After so long without a sign of life a peer is dead, idle or sent to."""
        return (
            self.keepalives_idle_s + self.keepalives_interval_s * self.keepalives_count
        )


DATABASE = Database(
    connect_timeout_s=5,
    keepalives_idle_s=15,
    keepalives_interval_s=5,
    keepalives_count=3,
    size_limit_mib=450,
    roles={
        role.name: role
        for role in (
            Role(
                name="loader",
                statement_timeout_s=1200,
                lock_timeout_s=10,
                idle_in_transaction_s=600,
                reason=(
                    "One COPY of the timetable's largest file is minutes long; a swap "
                    "that waits 10 s for a reader is tried again instead."
                ),
            ),
            Role(
                name="matcher",
                statement_timeout_s=20,
                lock_timeout_s=5,
                idle_in_transaction_s=30,
                reason="Below the matcher's soft limit of 50 s, with room to record.",
            ),
            Role(
                name="sender",
                statement_timeout_s=4,
                lock_timeout_s=2,
                idle_in_transaction_s=15,
                reason="Three statements of it fit the sender's soft limit of 12 s.",
            ),
            Role(
                name="upkeep",
                statement_timeout_s=3,
                lock_timeout_s=1,
                idle_in_transaction_s=10,
                reason="Every step is small; what is left over waits for the next one.",
            ),
        )
    },
    reason=(
        "30 s to notice a dead peer, 5 s to open a link; Supabase Free turns read-only "
        "at 500 MB."
    ),
)
