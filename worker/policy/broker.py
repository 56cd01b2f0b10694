"""The broker, the connections to it, and how a worker leaves."""

from dataclasses import dataclass
from typing import Literal

from worker.errors import PolicyError


@dataclass(frozen=True, kw_only=True, slots=True)
class Broker:
    """Numbers of the Redis transport.

    ``visibility_timeout_s``: how long a taken, unacknowledged message stays hidden;
    the clock starts at delivery and is not extended while the task runs, so it must
    exceed the longest hard limit and the longest countdown together.
    ``socket_timeout_s`` is that of the consumer, which blocks in Redis; a task that
    reads or writes its own keys waits for ``keys_timeout_s`` at most.
    https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html

    ``queue_order``: ``priority`` serves a pool's queues in the order of its row, and
    ``round_robin``, kombu's default, moves the queue served to the end.
    """

    visibility_timeout_s: int
    restore_interval_s: int
    socket_timeout_s: int
    socket_connect_timeout_s: int
    keys_timeout_s: int
    health_check_interval_s: int
    pool_limit: int
    publish_retries: int
    publish_retry_step_s: float
    soft_shutdown_s: int
    child_start_s: int
    child_lost_s: int
    child_look_s: float
    eta_task_limit: int
    beat_max_loop_s: int
    key_prefix: str
    priority_steps: tuple[int, ...]
    queue_order: Literal["priority", "round_robin"]
    reason: str

    def __post_init__(self) -> None:
        if self.socket_timeout_s <= 1:
            raise PolicyError(
                "broker.socket_timeout_s must exceed the 1 s of a blocking pop, "
                f"{self.socket_timeout_s} does not"
            )
        if not 0 < self.child_look_s <= self.child_lost_s:
            raise PolicyError(
                f"broker.child_look_s {self.child_look_s} must lie between 0 and "
                f"child_lost_s {self.child_lost_s}"
            )
        if self.queue_order not in ("priority", "round_robin"):
            raise PolicyError(
                f"broker.queue_order is priority or round_robin, not {self.queue_order}"
            )


BROKER = Broker(
    visibility_timeout_s=7200,
    restore_interval_s=10,
    socket_timeout_s=10,
    socket_connect_timeout_s=5,
    keys_timeout_s=3,
    health_check_interval_s=25,
    pool_limit=4,
    publish_retries=3,
    publish_retry_step_s=0.2,
    soft_shutdown_s=5,
    child_start_s=20,
    child_lost_s=2,
    child_look_s=0.25,
    eta_task_limit=200,
    beat_max_loop_s=5,
    key_prefix="q:",
    priority_steps=(0,),
    queue_order="priority",
    reason=(
        "7,200 s is above hard limit 3,300 plus countdown 1,800; without a socket "
        "timeout and keepalive a cut link wedges the consumer for good; the restore "
        "sweep runs each 10 s, not each 100 s as by default, so a killed worker's "
        "message is back soon after its visibility timeout; a killed child is noticed "
        "after 2 s, not after 10, or a short hard limit would end its attempt first; "
        "a child that has ended is looked for each quarter second, not each 5 s, or a "
        "push that was handed to it waits so long (see reliability/replacement.py). "
        "A poll that meets a silent Redis asks it three times before its soft limit."
    ),
)
